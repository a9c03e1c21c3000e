//go:build sealed

package main

import "github.com/countersign/countersign/clients/go/internal/aead"

// So that the tests need no other module.
func init() { newAEAD = aead.New }
