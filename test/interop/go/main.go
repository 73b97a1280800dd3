// Command interop is an outside judge of proof bundles: it reads them with the Go libraries of the
// transparency.dev project alone and shares no code with this repository.
//
// Usage: interop DIR..., where each DIR holds entry.dsse.json, entry.tlog-proof and policy, and entry.records.json if
// the ledger's own records came with the proof.
// It prints one line of JSON for each DIR.
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/transparency-dev/formats/log"
	f_note "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/formats/witness"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

type verdict struct {
	Error    string    `json:"error,omitempty"`
	Origin   string    `json:"origin,omitempty"`
	Size     uint64    `json:"size"`
	Index    uint64    `json:"index"`
	Root     string    `json:"root,omitempty"`
	LeafHash string    `json:"leafHash,omitempty"`
	Lines    []*line   `json:"lines,omitempty"`
	Unknown  int       `json:"unknown"`
	Recorded *recorded `json:"recorded,omitempty"`
}

// line is a signature line that verified under a key of the policy.
type line struct {
	Name  string `json:"name"`
	KeyID string `json:"keyId"`
	Time  int64  `json:"time"`
}

func main() {
	out := json.NewEncoder(os.Stdout)
	for _, dir := range os.Args[1:] {
		v, err := judge(dir)
		if err != nil {
			v = &verdict{Error: err.Error()}
		}
		if err := out.Encode(v); err != nil {
			panic(err)
		}
	}
}

func judge(dir string) (*verdict, error) {
	var files [3][]byte
	for i, name := range []string{"entry.dsse.json", "entry.tlog-proof", "policy"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		files[i] = data
	}
	entry, proofFile, policyFile := files[0], files[1], files[2]

	quorum, err := witness.ParsePolicy(policyFile)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	logs, witnesses, err := verifiers(policyFile)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	var p proof.TLogProof
	if err := p.Unmarshal(proofFile); err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	// What this library writes for the proof that it read: any difference is a spelling of ours.
	if !bytes.Equal(p.Marshal(), proofFile) {
		return nil, errors.New("proof: not the canonical bytes")
	}
	checkpoint, n, err := openCheckpoint(p.Checkpoint, logs, witnesses)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if !quorum.Satisfied(p.Checkpoint) {
		return nil, errors.New("checkpoint: the quorum of the policy is not satisfied")
	}
	leafHash := rfc6962.DefaultHasher.HashLeaf(entry)
	path := make([][]byte, len(p.Hashes))
	for i := range p.Hashes {
		path[i] = p.Hashes[i][:]
	}
	hasher := rfc6962.DefaultHasher
	if err := merkle.VerifyInclusion(hasher, p.Index, checkpoint.Size, leafHash, path, checkpoint.Hash); err != nil {
		return nil, fmt.Errorf("inclusion: %w", err)
	}

	v := &verdict{
		Origin:   checkpoint.Origin,
		Size:     checkpoint.Size,
		Index:    p.Index,
		Root:     hex.EncodeToString(checkpoint.Hash),
		LeafHash: hex.EncodeToString(leafHash),
		Unknown:  len(n.UnverifiedSigs),
	}
	for _, sig := range n.Sigs {
		at, err := f_note.CoSigV1Timestamp(sig)
		if err != nil {
			return nil, fmt.Errorf("timestamp of %s: %w", sig.Name, err)
		}
		v.Lines = append(v.Lines, &line{sig.Name, fmt.Sprintf("%08x", sig.Hash), at.Unix()})
	}
	file, err := os.ReadFile(filepath.Join(dir, "entry.records.json"))
	if errors.Is(err, os.ErrNotExist) {
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	if v.Recorded, err = judgeRecords(file, entry, p.Index, checkpoint); err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	return v, nil
}

// openCheckpoint returns the checkpoint if one of the logs' keys signed it. Every line by a key of the policy
// must verify.
func openCheckpoint(data []byte, logs, witnesses []note.Verifier) (*log.Checkpoint, *note.Note, error) {
	failed := errors.New("the policy names no log")
	for i, key := range logs {
		others := slices.Concat(slices.Delete(slices.Clone(logs), i, i+1), witnesses)
		checkpoint, rest, n, err := log.ParseCheckpoint(data, key.Name(), key, others...)
		if err != nil {
			failed = err
			continue
		}
		if len(rest) > 0 {
			return nil, nil, errors.New("extension lines")
		}
		return checkpoint, n, nil
	}
	return nil, nil, failed
}

// verifiers returns the keys of the policy. ParsePolicy keeps those of the witnesses to itself and leaves the
// log lines to its callers.
func verifiers(policy []byte) (logs, witnesses []note.Verifier, err error) {
	for text := range strings.Lines(string(policy)) {
		fields := strings.Fields(text)
		switch {
		case len(fields) >= 2 && fields[0] == "log":
			logs, err = appendVerifier(logs, fields[1])
		case len(fields) >= 3 && fields[0] == "witness":
			witnesses, err = appendVerifier(witnesses, fields[2])
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return logs, witnesses, nil
}

// appendVerifier adds the verifier of vkey, whose written key ID must be the one that the library computes:
// the library ignores it.
func appendVerifier(list []note.Verifier, vkey string) ([]note.Verifier, error) {
	v, err := f_note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	if prefix := fmt.Sprintf("%s+%08x+", v.Name(), v.KeyHash()); !strings.HasPrefix(vkey, prefix) {
		return nil, fmt.Errorf("a verifier key does not begin with %q", prefix)
	}
	return append(list, v), nil
}
