// The client's scenarios:
//
//	tour KEY    everything that a call can be; the two calls of `Wait` are KEY-deadline and KEY-cancel
//	ask PATH    a unary call; prints "CODE MESSAGE"
//	wait KEY    prints "waiting." and at the call's end "ended CODE."
//	load STOP   calls until the file STOP is there; prints "calls N." now and then, and "failed: ..."
//	chat STOP   one long call; prints "messages N." now and then
//	ping        a call that is silent for a while, with pings as often as the library lets one
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

type client struct{ channel *grpc.ClientConn }

func newClient(base, ca string) client {
	scheme, address, _ := strings.Cut(base, "://")
	transport := insecure.NewCredentials()
	if scheme == "https" {
		var err error
		transport, err = credentials.NewClientTLSFromFile(ca, "localhost")
		check(err)
	}
	channel, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(transport),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(largest)))
	check(err)
	return client{channel}
}

func (c client) run(scenario string, arguments []string) {
	switch scenario {
	case "tour":
		c.tour(arguments[0])
	case "ask":
		_, err := c.unary(context.Background(), arguments[0], nil)
		fmt.Printf("%d %s\n", status.Code(err), status.Convert(err).Message())
	case "wait":
		c.wait(arguments[0])
	case "load":
		c.load(arguments[0])
	case "chat":
		c.chatUntil(arguments[0])
	case "ping":
		chat := c.stream(context.Background(), "Chat")
		c.exchange(chat, []byte("before"))
		time.Sleep(21 * time.Second)
		c.exchange(chat, []byte("behind"))
		check(chat.CloseSend())
		finished(chat)
	default:
		panic(scenario)
	}
}

func (c client) unary(ctx context.Context, path string, message []byte, options ...grpc.CallOption) ([]byte, error) {
	var reply []byte
	err := c.channel.Invoke(ctx, path, &message, &reply, options...)
	return reply, err
}

// stream opens a call of any kind.
func (c client) stream(ctx context.Context, method string, options ...grpc.CallOption) grpc.ClientStream {
	kind := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	call, err := c.channel.NewStream(ctx, kind, "/peers.Echo/"+method, options...)
	check(err)
	return call
}

// open opens a call with one request.
func (c client) open(ctx context.Context, method string, request []byte) grpc.ClientStream {
	call := c.stream(ctx, method)
	check(call.SendMsg(&request))
	check(call.CloseSend())
	return call
}

// receive takes one message.
func receive(call grpc.ClientStream) []byte {
	var message []byte
	check(call.RecvMsg(&message))
	return message
}

func finished(call grpc.ClientStream) {
	err := call.RecvMsg(&[]byte{})
	expect(err == io.EOF, "%v instead of the end", err)
}

func (c client) exchange(call grpc.ClientStream, message []byte) {
	check(call.SendMsg(&message))
	expect(bytes.Equal(receive(call), message), "another message of %d bytes", len(message))
}

func (c client) wait(key string) {
	call := c.open(context.Background(), "Wait", []byte(key))
	expect(string(receive(call)) == key, "another key")
	fmt.Println("waiting.")
	fmt.Printf("ended %d.\n", status.Code(call.RecvMsg(&[]byte{})))
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func (c client) load(stop string) {
	var calls atomic.Int64
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Add(1)
		go func() {
			defer workers.Done()
			message := bytes.Repeat([]byte("m"), 1000)
			for !exists(stop) {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				if err := c.call(ctx, worker, message); err != nil {
					fmt.Println("failed:", err)
				}
				cancel()
				if count := calls.Add(1); count%100 == 0 {
					fmt.Printf("calls %d.\n", count)
				}
			}
		}()
	}
	workers.Wait()
}

// call makes a unary call; every fourth worker makes a short chat.
func (c client) call(ctx context.Context, worker int, message []byte) error {
	if worker%4 != 0 {
		_, err := c.unary(ctx, "/peers.Echo/Unary", message)
		return err
	}
	kind := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	call, err := c.channel.NewStream(ctx, kind, "/peers.Echo/Chat")
	for i := 0; i < 3 && err == nil; i++ {
		if err = call.SendMsg(&message); err == nil || err == io.EOF {
			err = call.RecvMsg(&[]byte{})
		}
	}
	if err != nil {
		return err
	}
	check(call.CloseSend())
	if err = call.RecvMsg(&[]byte{}); err == io.EOF {
		return nil
	}
	return fmt.Errorf("no end: %w", err)
}

func (c client) chatUntil(stop string) {
	call := c.stream(context.Background(), "Chat")
	for count := 1; !exists(stop); count++ {
		c.exchange(call, []byte(fmt.Sprintf("message %d", count)))
		fmt.Printf("messages %d.\n", count)
		time.Sleep(5 * time.Millisecond)
	}
	check(call.CloseSend())
	finished(call)
}
