package behavior

import "io/fs"

// Edition is a knowledge base in the paper's own form: behaviour subtypes by API, and sequences of them by category.
type Edition struct {
	Types     []string
	Subtypes  []string
	Sequences []EditionSequence
}

// EditionSequence is one sequence of one or two steps.
type EditionSequence struct {
	Category string
	Steps    []string
}

func loadEdition(fsys fs.FS) (*Edition, error) { return nil, nil }
