// Client sends each line that it reads as a message, and prints the replies.
//
//	client HOST:PORT KEYFILE
package main

import (
	"bufio"
	"crypto/cipher"
	"fmt"
	"io"
	"net"
	"os"

	countersign "github.com/countersign/countersign/clients/go"
)

// newAEAD seals records, unless it is nil: chacha20poly1305.New of golang.org/x/crypto.
var newAEAD func(key []byte) (cipher.AEAD, error)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: client HOST:PORT KEYFILE")
		os.Exit(64)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(address, keyFile string) error {
	config, err := countersign.ReadKeyFile(keyFile)
	if err != nil {
		return err
	}
	config.NewAEAD = newAEAD
	socket, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	conn, err := countersign.Client(socket, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if err := conn.WriteMessages(lines.Bytes()); err != nil {
			return err
		}
		reply, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", reply)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	if _, err := conn.ReadMessage(); err != io.EOF {
		return fmt.Errorf("the server did not close: %w", err)
	}
	return nil
}
