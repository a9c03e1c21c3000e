// Server sends each message back. It ends on SIGTERM.
//
//	server HOST:PORT KEYFILE
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	countersign "github.com/countersign/countersign/clients/go"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: server HOST:PORT KEYFILE")
		os.Exit(64)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func run(address, keyFile string) error {
	keys, err := countersign.ReadKeyFile(keyFile)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		listener.Close()
	}()
	fmt.Println("listening on", listener.Addr())
	config := &countersign.Config{Keys: keys}
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go serve(countersign.Server(conn, config))
	}
}

func serve(conn *countersign.Conn) {
	defer conn.Close()
	for {
		message, err := conn.ReadMessage()
		if err == nil {
			err = conn.WriteMessages(message)
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", conn.RemoteAddr(), err)
			return
		}
	}
}
