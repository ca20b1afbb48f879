package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var anyTime = context.Background()

func (c client) tour(key string) {
	for _, size := range []int{0, 1 << 10, 1 << 20} {
		c.kinds(size)
	}
	c.large()
	c.metadata()
	c.failures()
	c.compressed()
	c.ended(key)
	c.many()
}

func noise(size int) []byte {
	message := make([]byte, size)
	state := uint32(size) + 1
	for i := range message {
		state = state*1664525 + 1013904223
		message[i] = byte(state >> 24)
	}
	return message
}

func (c client) echoed(message []byte, options ...grpc.CallOption) {
	reply, err := c.unary(anyTime, "/peers.Echo/Unary", message, options...)
	check(err)
	expect(bytes.Equal(reply, message), "another message of %d bytes", len(message))
}

// kinds makes each kind of call with messages of this size.
func (c client) kinds(size int) {
	message := noise(size)
	c.echoed(message)

	gather := c.stream(anyTime, "Gather")
	for range 3 {
		check(gather.SendMsg(&message))
	}
	check(gather.CloseSend())
	reply := string(receive(gather))
	expect(reply == fmt.Sprintf("3 %d", 3*size), "gathered %s", reply)
	finished(gather)

	spread := c.open(anyTime, "Spread", []byte(fmt.Sprintf("3 %d", size)))
	for range 3 {
		expect(string(receive(spread)) == strings.Repeat("s", size), "another spread of %d", size)
	}
	finished(spread)

	chat := c.stream(anyTime, "Chat")
	for range 3 {
		c.exchange(chat, message)
	}
	check(chat.CloseSend())
	finished(chat)
}

// large sends one message of 16 MiB, and so much in parts, of which none is taken at first.
func (c client) large() {
	chat := c.stream(anyTime, "Chat")
	c.exchange(chat, noise(16<<20))
	part := noise(1 << 20)
	go func() {
		for range 16 {
			check(chat.SendMsg(&part))
		}
		check(chat.CloseSend())
	}()
	time.Sleep(300 * time.Millisecond)
	for range 16 {
		expect(bytes.Equal(receive(chat), part), "another part")
	}
	finished(chat)
}

func (c client) metadata() {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	texts, data := []string{"one, two", "three"}, []string{string(every), "\x00"}
	sent := metadata.MD{"x-text": texts, "x-data-bin": data}
	var fields, trailers metadata.MD
	ctx := metadata.NewOutgoingContext(anyTime, sent)
	_, err := c.unary(ctx, "/peers.Echo/Unary", nil, grpc.Header(&fields), grpc.Trailer(&trailers))
	check(err)
	for prefix, got := range map[string]metadata.MD{"x-": fields, "t-": trailers} {
		// Values may be joined on their way.
		expect(strings.Join(got.Get(prefix+"text"), ", ") == "one, two, three", "%v", got)
		expect(slices.Equal(got.Get(prefix+"data-bin"), data), "%q", got)
	}
}

func (c client) failures() {
	for count := range 3 {
		call := c.open(anyTime, "Fail", []byte(fmt.Sprint(count)))
		for range count {
			receive(call)
		}
		failed := status.Convert(call.RecvMsg(&[]byte{}))
		expect(failed.Code() == codes.FailedPrecondition && failed.Message() == failure, "%v", failed)
		why, _ := failed.Details()[0].(*wrapperspb.StringValue)
		expect(why.GetValue() == "why", "%v", failed.Details())
	}
	_, err := c.unary(anyTime, "/peers.Echo/Nothing", nil)
	expect(status.Code(err) == codes.Unimplemented, "%v", err)
}

func (c client) compressed() {
	zipped := grpc.UseCompressor(gzip.Name)
	c.echoed(bytes.Repeat([]byte("easy "), 1<<18), zipped)
	c.echoed(noise(100_000), zipped)
	chat := c.stream(anyTime, "Chat", zipped)
	c.exchange(chat, bytes.Repeat([]byte("easy "), 1<<18))
	c.exchange(chat, nil)
	check(chat.CloseSend())
	finished(chat)
}

// ended ends two calls before the server does.
func (c client) ended(key string) {
	ctx, cancel := context.WithTimeout(anyTime, 500*time.Millisecond)
	defer cancel()
	late := c.open(ctx, "Wait", []byte(key+"-deadline"))
	receive(late)
	err := late.RecvMsg(&[]byte{})
	expect(status.Code(err) == codes.DeadlineExceeded, "%v", err)

	ctx, cancel = context.WithCancel(anyTime)
	call := c.open(ctx, "Wait", []byte(key+"-cancel"))
	receive(call)
	cancel()
	err = call.RecvMsg(&[]byte{})
	expect(status.Code(err) == codes.Canceled, "%v", err)
}

// many has a hundred streams open at once, and then a thousand unary calls.
func (c client) many() {
	var chats []grpc.ClientStream
	for range 100 {
		chats = append(chats, c.stream(anyTime, "Chat"))
	}
	for range 2 {
		for i, chat := range chats {
			c.exchange(chat, noise(i))
		}
	}
	for _, chat := range chats {
		check(chat.CloseSend())
		finished(chat)
	}

	var calls sync.WaitGroup
	for i := range 1000 {
		calls.Add(1)
		go func() {
			defer calls.Done()
			c.echoed(noise(i))
		}()
	}
	calls.Wait()
}
