package scan

import (
	"slices"

	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/detect/archive"
	"github.com/donapi/donapi/internal/detect/binary"
	"github.com/donapi/donapi/internal/detect/diff"
	"github.com/donapi/donapi/internal/detect/hiddentext"
	"github.com/donapi/donapi/internal/detect/manifest"
	"github.com/donapi/donapi/internal/detect/names"
	"github.com/donapi/donapi/internal/detect/obfuscation"
	"github.com/donapi/donapi/internal/detect/publication"
	"github.com/donapi/donapi/internal/detect/stores"
)

// Input is what detectors look at.
type Input = detect.Subject

// detectors are all detectors of shape, in the order in which they run.
var detectors = []*detect.Detector{
	archive.Detector,
	manifest.Detector,
	obfuscation.Detector,
	hiddentext.Detector,
	binary.Detector,
	stores.Detector,
	names.Detector,
}

// AllChecks documents every finding that does not come from the behaviours.
func AllChecks() []detect.Check {
	out := slices.Concat(checks, fetchChecks, shellChecks, publication.Checks, diff.Checks)
	for _, d := range detectors {
		out = append(out, d.Checks...)
	}
	return out
}
