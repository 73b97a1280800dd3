package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"filippo.io/mldsa"
	"github.com/transparency-dev/formats/log"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

type envelope struct {
	Payload     []byte `json:"payload"`
	PayloadType string `json:"payloadType"`
	Signatures  []struct {
		KeyID string `json:"keyid"`
		Sig   []byte `json:"sig"`
	} `json:"signatures"`
}

type placed struct {
	Index uint64          `json:"index"`
	Leaf  json.RawMessage `json:"leaf"`
	Path  []string        `json:"path"`
}

type records struct {
	Genesis   placed  `json:"genesis"`
	Seal      placed  `json:"seal"`
	Submitter *placed `json:"submitter"`
}

type member struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Key  struct {
		Alg string `json:"alg"`
		Kty string `json:"kty"`
		Pub string `json:"pub"`
	} `json:"key"`
}

// recorded is what the ledger's own records say about an entry.
type recorded struct {
	Time      string `json:"time"`
	Height    uint64 `json:"height"`
	Submitter string `json:"submitter"`
}

// judgeRecords follows section 9 of FORMATS.md for a submitted entry.
func judgeRecords(file, entryFile []byte, index uint64, checkpoint *log.Checkpoint) (*recorded, error) {
	decoder := json.NewDecoder(bytes.NewReader(file))
	decoder.DisallowUnknownFields()
	var r records
	if err := decoder.Decode(&r); err != nil {
		return nil, err
	}
	if r.Submitter == nil {
		return nil, errors.New("no submitter")
	}
	var parameters struct {
		Ledger string `json:"ledger"`
	}
	var seal struct {
		Ledger            string
		Time              string
		Height            uint64
		FirstIndex, Count uint64
	}
	var admitted struct {
		member
		Put *member `json:"put"`
	}
	for _, step := range []struct {
		placed *placed
		into   any
	}{{&r.Genesis, &parameters}, {&r.Seal, &seal}, {r.Submitter, &admitted}} {
		if err := readPlaced(step.placed, checkpoint, step.into); err != nil {
			return nil, err
		}
	}
	if parameters.Ledger != checkpoint.Origin || seal.Ledger != checkpoint.Origin || r.Genesis.Index != 0 {
		return nil, errors.New("of another ledger")
	}
	if r.Seal.Index != seal.FirstIndex+seal.Count || index < seal.FirstIndex || index > r.Seal.Index {
		return nil, errors.New("the seal of another block")
	}
	record := admitted.member
	if admitted.Put != nil {
		record = *admitted.Put
	}
	if record.Kind != "submitter" || r.Submitter.Index >= seal.FirstIndex {
		return nil, errors.New("no submitter's record from before the block")
	}
	if err := signedBy(record, entryFile); err != nil {
		return nil, err
	}
	return &recorded{seal.Time, seal.Height, record.Name}, nil
}

// readPlaced proves that the leaf stands in the tree and decodes its payload.
func readPlaced(p *placed, checkpoint *log.Checkpoint, into any) error {
	path := make([][]byte, len(p.Path))
	for i, text := range p.Path {
		if _, err := fmt.Sscanf(text, "%x", &path[i]); err != nil {
			return err
		}
	}
	hasher := rfc6962.DefaultHasher
	// The file is canonical JSON, so the bytes of the object are those of the leaf.
	leafHash := hasher.HashLeaf(p.Leaf)
	if err := merkle.VerifyInclusion(hasher, p.Index, checkpoint.Size, leafHash, path, checkpoint.Hash); err != nil {
		return err
	}
	var e envelope
	if err := json.Unmarshal(p.Leaf, &e); err != nil {
		return err
	}
	return json.Unmarshal(e.Payload, into)
}

// signedBy verifies the only signature of the entry under the key of the record.
func signedBy(record member, entryFile []byte) error {
	var e envelope
	if err := json.Unmarshal(entryFile, &e); err != nil {
		return err
	}
	thumbprint := sha256.Sum256(fmt.Appendf(nil, `{"alg":%q,"kty":%q,"pub":%q}`, record.Key.Alg, record.Key.Kty, record.Key.Pub))
	if len(e.Signatures) != 1 || e.Signatures[0].KeyID != base64.RawURLEncoding.EncodeToString(thumbprint[:]) {
		return errors.New("the record of another key")
	}
	sets := map[string]*mldsa.Parameters{
		"ML-DSA-44": mldsa.MLDSA44(), "ML-DSA-65": mldsa.MLDSA65(), "ML-DSA-87": mldsa.MLDSA87(),
	}
	set := sets[record.Key.Alg]
	if set == nil {
		return errors.New("an unknown algorithm")
	}
	pub, err := base64.RawURLEncoding.DecodeString(record.Key.Pub)
	if err != nil {
		return err
	}
	key, err := mldsa.NewPublicKey(set, pub)
	if err != nil {
		return err
	}
	message := fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(e.PayloadType), e.PayloadType, len(e.Payload))
	return mldsa.Verify(key, append(message, e.Payload...), e.Signatures[0].Sig, nil)
}
