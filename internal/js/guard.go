package js

import "fmt"

// The guard looks at a text before the parser does. The parser recurses without limit and folds long concatenations at quadratic
// cost; Node itself gives up on nesting near 4,000 levels, so what is refused here could not run there either.
const (
	maxSource  = 64 << 20 // bytes
	maxNesting = 4000     // brackets, template holes
	maxChain   = 20_000   // operators of one kind in a row at one level
	maxPrefix  = 4000     // unary operators or arrows in a row
	maxLabels  = 1000     // labels in a row; the parser's cost grows with their square, as that of the next two does
	maxAngles  = 500      // opening type arguments in a row
	maxCases   = 20_000   // cases of all switches
)

func guard(name, src string) error {
	if len(src) > maxSource {
		return &Refusal{name, "size", fmt.Sprintf("%d bytes", len(src))}
	}
	depth, deepest := 0, 0
	chain, prefix := 0, 0
	arrows, labels, angles, cases := 0, 0, 0, 0
	var err *Refusal
	Scan(src, func(t Token) bool {
		switch t.Kind {
		case Punct:
			switch t.Text { // what words may stand between
			case "=>":
				arrows++
				labels, angles = 0, 0
			case ":":
				labels++
				angles = 0
			case "<":
				angles++
				labels = 0
			case "(", ")":
				labels, angles = 0, 0
			default:
				arrows, labels, angles = 0, 0, 0
			}
			switch t.Text {
			case "(", "[", "{", "${":
				depth++
				prefix++
				deepest = max(deepest, depth)
			case ")", "]", "}":
				depth--
				prefix = 0
			case "!", "~", "-", "+", "=>", "?", ":":
				prefix++
				if t.Text == "+" {
					chain++
				}
			case ";", ",":
				chain, prefix = 0, 0
			default:
				prefix = 0
			}
		case Word:
			if t.Text == "case" {
				cases++
				labels = 0
			}
			switch t.Text {
			case "typeof", "void", "delete", "await", "new", "else", "if", "extends", "class", "async", "function", "return", "in", "of":
				prefix++
			default:
				if prefix > 0 {
					prefix--
				}
			}
		case String, Number, Regex, TemplatePart:
			prefix = 0
		}
		switch {
		case deepest > maxNesting:
			err = &Refusal{name, "nesting", fmt.Sprintf("nested more than %d levels deep", maxNesting)}
		case chain > maxChain:
			err = &Refusal{name, "chain", fmt.Sprintf("more than %d concatenations in a row", maxChain)}
		case arrows > maxPrefix || labels > maxLabels || angles > maxAngles:
			err = &Refusal{name, "chain", "arrows, labels or type arguments without end"}
		case cases > maxCases:
			err = &Refusal{name, "tokens", fmt.Sprintf("more than %d cases", maxCases)}
		case prefix > maxPrefix:
			err = &Refusal{name, "chain", fmt.Sprintf("more than %d operators in a row", maxPrefix)}
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return nil
}
