// The server: every kind of call, a failure with details, and a call that ends only when it is
// cancelled; and the health service of the library. SIGUSR1 stops it gracefully, SIGUSR2 has
// peers.Echo not serve, and serve again. Connections older than AGE are told to go away.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const failure = "not now: 100 % ✓"

func serve(arguments []string) {
	dir := arguments[0]
	credentials, err := credentials.NewServerTLSFromFile(dir+"/server.crt", dir+"/server.key")
	check(err)
	options := []grpc.ServerOption{grpc.ForceServerCodec(raw{}), grpc.MaxRecvMsgSize(largest)}
	if len(arguments) > 1 {
		age, err := time.ParseDuration(arguments[1])
		check(err)
		options = append(options, grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: age}))
	}
	plain := grpc.NewServer(options...)
	secure := grpc.NewServer(append(options, grpc.Creds(credentials))...)
	state := health.NewServer()
	state.SetServingStatus(echo.ServiceName, healthpb.HealthCheckResponse_SERVING)
	for name, server := range map[string]*grpc.Server{"plain": plain, "secure": secure} {
		server.RegisterService(&echo, nil)
		healthpb.RegisterHealthServer(server, state)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		check(err)
		go func() { check(server.Serve(listener)) }()
		fmt.Printf("%s on port %d.\n", name, listener.Addr().(*net.TCPAddr).Port)
	}

	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGUSR1, syscall.SIGUSR2)
	statuses := []healthpb.HealthCheckResponse_ServingStatus{
		healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING,
	}
	for turn := 1; <-told == syscall.SIGUSR2; turn++ {
		state.SetServingStatus(echo.ServiceName, statuses[turn%2])
	}
	fmt.Println("stopping")
	plain.GracefulStop()
	secure.GracefulStop()
}

var echo = grpc.ServiceDesc{
	ServiceName: "peers.Echo",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: unary}},
	Streams: []grpc.StreamDesc{
		{StreamName: "Gather", Handler: gather, ClientStreams: true},
		{StreamName: "Spread", Handler: spread, ServerStreams: true},
		{StreamName: "Chat", Handler: chat, ClientStreams: true, ServerStreams: true},
		{StreamName: "Fail", Handler: fail, ServerStreams: true},
		{StreamName: "Wait", Handler: wait, ServerStreams: true},
	},
}

// unary gives the message back, and x-text and x-data-bin as fields and trailers.
func unary(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var message []byte
	if err := decode(&message); err != nil {
		return nil, err
	}
	fields, trailers := metadata.MD{}, metadata.MD{}
	sent, _ := metadata.FromIncomingContext(ctx)
	for _, name := range []string{"text", "data-bin"} {
		fields.Append("x-"+name, sent.Get("x-"+name)...)
		trailers.Append("t-"+name, sent.Get("x-"+name)...)
	}
	check(grpc.SetHeader(ctx, fields))
	check(grpc.SetTrailer(ctx, trailers))
	return &message, nil
}

// gather answers with how many messages and bytes came.
func gather(_ any, stream grpc.ServerStream) error {
	count, size := 0, 0
	for {
		var message []byte
		if err := stream.RecvMsg(&message); err == io.EOF {
			reply := []byte(fmt.Sprintf("%d %d", count, size))
			return stream.SendMsg(&reply)
		} else if err != nil {
			return err
		}
		count++
		size += len(message)
	}
}

// spread sends so many messages of such a size.
func spread(_ any, stream grpc.ServerStream) error {
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	var count, size int
	if _, err := fmt.Sscan(string(request), &count, &size); err != nil {
		return err
	}
	message := []byte(strings.Repeat("s", size))
	for range count {
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
	}
	return nil
}

func chat(_ any, stream grpc.ServerStream) error {
	for {
		var message []byte
		if err := stream.RecvMsg(&message); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
	}
}

// fail sends so many messages and then a status with details.
func fail(_ any, stream grpc.ServerStream) error {
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	var count int
	if _, err := fmt.Sscan(string(request), &count); err != nil {
		return err
	}
	for range count {
		if err := stream.SendMsg(&request); err != nil {
			return err
		}
	}
	failed, err := status.New(codes.FailedPrecondition, failure).WithDetails(wrapperspb.String("why"))
	check(err)
	return failed.Err()
}

// wait gives the message back and says when the call was cancelled.
func wait(_ any, stream grpc.ServerStream) error {
	var key []byte
	if err := stream.RecvMsg(&key); err != nil {
		return err
	}
	if err := stream.SendMsg(&key); err != nil {
		return err
	}
	<-stream.Context().Done()
	fmt.Printf("cancelled %s.\n", key)
	return status.FromContextError(stream.Context().Err()).Err()
}
