package countersign

import "testing"

// Whatever arrives, an end answers with an error of this package, and hands on only what somebody
// with the key has sent.
func fuzz(f *testing.F, role string) {
	all := readVectors(f)
	// In a vector this message comes with the type of a batch.
	sent := map[string]bool{"\x00\x00\x04time\x00\x00\x04date": true}
	for i, v := range all {
		for _, message := range v.Messages {
			sent[string(message)] = true
		}
		if v.Role == role && v.beyond() == "" {
			for at := range v.In {
				f.Add(uint16(i), uint16(at), []byte(v.In[at]))
			}
		}
	}
	f.Fuzz(func(t *testing.T, number, at uint16, piece []byte) {
		v := all[int(number)%len(all)]
		if v.Role != role || v.beyond() != "" {
			t.Skip()
		}
		v.Then = "eof"
		var pieces [][]byte
		for i, original := range v.In {
			if i == int(at) {
				original = piece
			}
			pieces = append(pieces, append([]byte(nil), original...))
		}
		outcome, _, got := v.play(v.config(t), pieces...)
		if outcome == "" {
			t.Fatal("an error of another kind")
		}
		for _, message := range got {
			if !sent[string(message)] {
				t.Fatalf("%q was never sent", message)
			}
		}
	})
}

func FuzzServer(f *testing.F) { fuzz(f, "server") }

func FuzzClient(f *testing.F) { fuzz(f, "client") }
