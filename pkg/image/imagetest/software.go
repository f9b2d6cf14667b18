package imagetest

// Content that compresses as the files of images do, to about two fifths.

import (
	"io"
	"math/rand/v2"
)

// Software writes size bytes as they occur in images: most is text and code, with a
// vocabulary, the rest is packed already. The same seed gives the same bytes.
func Software(w io.Writer, seed uint64, size int64) error {
	r := rand.New(rand.NewPCG(seed, 7))
	words := make([][]byte, 4096)
	for i := range words {
		word := make([]byte, 3+r.IntN(9))
		for j := range word {
			word[j] = 'a' + byte(r.IntN(26))
		}
		words[i] = append(word, ' ')
	}
	packed := rand.NewChaCha8([32]byte{byte(seed)})
	out := &limited{w: w, left: size}
	noise := make([]byte, 4<<10)
	for out.left > 0 {
		if r.IntN(16) == 0 {
			packed.Read(noise)
			out.Write(noise)
			continue
		}
		for n := 0; n < len(noise); {
			u := r.Float64()
			word := words[int(u*u*u*u*float64(len(words)))]
			out.Write(word)
			n += len(word)
		}
	}
	return out.err
}

// limited drops what is beyond its limit.
type limited struct {
	w    io.Writer
	left int64
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	n, err := l.w.Write(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	if err != nil {
		l.err, l.left = err, 0
	}
	return len(p), nil
}
