// A client and a server of grpc-go. Messages are bytes, so that nothing has to be generated.
//
//	grpc-go server DIR [AGE]        with DIR/server.crt and DIR/server.key; see server.go
//	grpc-go BASE CA SCENARIO ...    a client; see client.go
package main

import (
	"fmt"
	"os"

	"google.golang.org/protobuf/proto"
)

// raw takes messages as they are, but for those of the health service.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) {
	if message, ok := v.(proto.Message); ok {
		return proto.Marshal(message)
	}
	return *v.(*[]byte), nil
}

func (raw) Unmarshal(data []byte, v any) error {
	if message, ok := v.(proto.Message); ok {
		return proto.Unmarshal(data, message)
	}
	*v.(*[]byte) = append([]byte{}, data...)
	return nil
}

func (raw) Name() string { return "proto" }

const largest = 64 << 20

func main() {
	if os.Args[1] == "server" {
		serve(os.Args[2:])
	} else {
		newClient(os.Args[1], os.Args[2]).run(os.Args[3], os.Args[4:])
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func expect(holds bool, format string, values ...any) {
	if !holds {
		panic(fmt.Sprintf(format, values...))
	}
}
