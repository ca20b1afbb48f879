// A client and a server of grpc-go. Messages are bytes, so that nothing has to be generated.
//
//	grpc-go server DIR [AGE]        with DIR/server.crt and DIR/server.key; see server.go
//	grpc-go BASE CA SCENARIO ...    a client; see client.go
package main

import (
	"fmt"
	"os"
)

// raw takes messages as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (raw) Unmarshal(data []byte, v any) error {
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
