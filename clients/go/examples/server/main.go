// Server sends each message back. It ends on SIGTERM.
//
//	server HOST:PORT KEYFILE
package main

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	countersign "github.com/countersign/countersign/clients/go"
)

// newAEAD seals records, unless it is nil: chacha20poly1305.New of golang.org/x/crypto.
var newAEAD func(key []byte) (cipher.AEAD, error)

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
	config, err := countersign.ReadKeyFile(keyFile)
	if err != nil {
		return err
	}
	config.NewAEAD = newAEAD
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
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go serve(conn, config)
	}
}

func serve(socket net.Conn, config *countersign.Config) {
	conn, err := countersign.Server(socket, config)
	if err == nil {
		defer conn.Close()
	}
	for err == nil {
		var message []byte
		if message, err = conn.ReadMessage(); err == nil {
			err = conn.WriteMessages(message)
		}
	}
	if err != io.EOF {
		fmt.Fprintf(os.Stderr, "%s: %v\n", socket.RemoteAddr(), err)
	}
}
