// Package js is the only door to the JavaScript parser, and the small intermediate form that everything else reads. A source
// text goes in; out comes a Unit of our own nodes, in which every name is bound: a local is a frame slot, an import is an index,
// anything else is a Global. The parser (esbuild's) never shows outside this package, so that it stays replaceable.
//
// Offsets are bytes from the start of Unit.Source, the text exactly as given. Strings are WTF-8: UTF-8 in which a lone surrogate
// is written as its three-byte form. Nothing here evaluates anything.
package js

// Unit is one parsed source text: a file of a package, or a layer decoded at run time.
type Unit struct {
	Name    string // path within the package, or a layer's name
	Source  string
	ESM     bool     // has import or export syntax, or is to be read as a module by its extension
	Loader  string   // js, jsx, ts, tsx: the one that accepted it
	Body    *Func    // the module's own code; its slots are the top-level bindings
	Imports []Import // named by ImportRef nodes
	Exports []Export // ESM only
	Globals []string // names used and bound nowhere, sorted
	Calls   []string // string arguments of require(), import() and import statements, in order of appearance, each once
	TLA     bool     // has top-level await
	lines   []int32  // offsets of line starts, made on demand
}

// CommonJS gives the slots of Unit.Body that hold the module wrapper's parameters. Every Unit that is not ESM starts with them.
var CommonJS = []string{"exports", "require", "module", "__filename", "__dirname"}

// Import is one imported binding. Name is the exported name, "default", or "*" for the namespace.
type Import struct {
	From  string // specifier
	Name  string
	Local string
	Pos   int32
	Type  bool // attributes say json or the like
}

// Export is one exported name. Exactly one of the three forms: a local (Slot >= 0), a re-export (From != "", Name "*" for all),
// or an import exported again (Import >= 0).
type Export struct {
	As     string // "default", a name, or "*" (export * from)
	Slot   int32  // of Unit.Body, -1 when not local
	From   string
	Name   string
	Import int // index of Imports, -1 when not
	Pos    int32
}

// Func is one function, or the body of a unit. Its code may be lowered on the first call of Code; a Unit is therefore not for
// concurrent use.
type Func struct {
	Name                    string
	Start, End              int32 // End is 0 when unknown
	Arrow, Async, Generator bool
	Method                  bool // has no [[Construct]]
	Getter, Setter          bool
	Unit                    *Unit
	Length                  int // declared parameters before the first default or rest
	lower                   func() *Code
	code                    *Code
}

// Code is what a function runs.
type Code struct {
	Scope     *Scope // the function's frame
	Params    []Param
	Rest      bool // the last parameter takes the rest
	Body      *Block
	Self      int32 // slot of the function's own name for a named function expression, -1 otherwise
	Arguments int32 // slot of the arguments object, -1 when not used
	Strict    bool
	Eval      bool // contains a direct eval or with: names are looked up at run time
}

// Code returns the function's code, lowering it first if need be.
func (f *Func) Code() *Code {
	if f.code == nil {
		f.code = f.lower()
		f.lower = nil
	}
	return f.code
}

// Scope makes one frame at run time. A function is one; so is a block whose bindings a closure inside a loop may capture, so that
// every turn has its own. All other block-scoped bindings live in the enclosing frame, under slots of their own.
type Scope struct {
	Names []string // by slot
}

// Slots is a run of slots of one frame, from Low to before High.
type Slots struct {
	Low, High int32
}

// Ref names a slot: Hops frames up from the current one.
type Ref struct {
	Hops, Slot int32
}

// Param is one parameter.
type Param struct {
	Target  Pattern
	Default Expr // nil when none
}

// Block is a statement list. Funcs are the function declarations hoisted to its start.
type Block struct {
	Scope *Scope // nil when its bindings live in the enclosing frame
	Own   Slots  // of the enclosing frame, that only this block sees
	Funcs []FuncBind
	Stmts []Stmt
}

// FuncBind binds a declared function.
type FuncBind struct {
	Target Pattern // Ident or Global
	Fn     *Func
}

// At is the offset of a node.
type At int32

func (a At) Pos() int32 { return int32(a) }

// Expr is an expression node.
type Expr interface {
	Pos() int32
	expr()
}

// Stmt is a statement node.
type Stmt interface {
	Pos() int32
	stmt()
}

// Pattern is what can be assigned to or bound: Ident, Global, ImportRef (in error), Member, Index, ArrayPat, ObjectPat.
type Pattern interface {
	Pos() int32
	pattern()
}

// Op is an operator, spelled as in the source: "+", "typeof", "**", "??", "instanceof", "in".
type Op uint8

const (
	OpNone Op = iota
	OpAdd
	OpSub
	OpMul
	OpDiv
	OpMod
	OpPow
	OpShl
	OpShr
	OpUShr
	OpBitAnd
	OpBitOr
	OpBitXor
	OpEq  // ==
	OpNe  // !=
	OpSEq // ===
	OpSNe // !==
	OpLt
	OpLe
	OpGt
	OpGe
	OpIn
	OpInstanceof
	OpAnd     // &&
	OpOr      // ||
	OpNullish // ??
	OpNot     // !
	OpBitNot  // ~
	OpPlus    // unary +
	OpMinus   // unary -
	OpTypeof
	OpVoid
	OpDelete
	OpInc
	OpDec
)

var opText = [...]string{"", "+", "-", "*", "/", "%", "**", "<<", ">>", ">>>", "&", "|", "^", "==", "!=", "===", "!==", "<", "<=", ">", ">=", "in", "instanceof", "&&", "||", "??", "!", "~", "+", "-", "typeof", "void", "delete", "++", "--"}

func (o Op) String() string { return opText[o] }

// PropKind is the kind of a property in an object literal or a class body.
type PropKind uint8

const (
	PropInit PropKind = iota
	PropGet
	PropSet
	PropMethod
	PropSpread
	PropField       // class field; Value may be nil
	PropStaticBlock // class static block; Block is set
)

// Prop is one property. Name holds a constant key; Computed is set instead when the key is an expression.
type Prop struct {
	Kind      PropKind
	Name      string // "#x" for private names
	Computed  Expr
	Value     Expr // for a spread, the spread object
	Static    bool
	Shorthand bool  // written {a}: the key and the value are one token
	Block     *Func // PropStaticBlock
	Pos       int32
}

// Class is a class declaration or expression.
type Class struct {
	Name    string
	Self    Pattern // binding of the class's name inside it, nil when anonymous
	Extends Expr    // nil when none
	Ctor    *Func   // nil when implicit
	Props   []Prop  // without the constructor
	Start   int32
	End     int32
}

type (
	Undefined  struct{ At }
	Null       struct{ At }
	This       struct{ At }
	Super      struct{ At }
	NewTarget  struct{ At }
	ImportMeta struct{ At }
	Bool       struct {
		At
		V bool
	}
	Num struct {
		At
		V float64
	}
	Str struct {
		At
		V string // WTF-8
	}
	BigInt struct {
		At
		Text string // digits, as written, without the n
	}
	Regexp struct {
		At
		Source, Flags string
	}
	// Template is a template literal; with Tag, a tagged one. len(Cooked) == len(Raw) == len(Exprs)+1.
	Template struct {
		At
		Tag    Expr
		Cooked []string
		Raw    []string
		Exprs  []Expr
	}
	// Ident is a local binding.
	Ident struct {
		At
		Ref
		Name string
	}
	// Global is a name bound nowhere in the unit.
	Global struct {
		At
		Name string
	}
	// ImportRef is an imported binding, live: Unit.Imports[Index].
	ImportRef struct {
		At
		Index int
	}
	Array struct {
		At
		Items []Expr // nil items are holes
	}
	Object struct {
		At
		Props []Prop
	}
	FuncExpr struct {
		At
		Fn *Func
	}
	ClassExpr struct {
		At
		Class *Class
	}
	Unary struct {
		At
		Op Op
		X  Expr
	}
	Update struct {
		At
		Op     Op // OpInc, OpDec
		Prefix bool
		Target Pattern
	}
	Binary struct {
		At
		Op   Op
		L, R Expr
	}
	// Logical is &&, || or ??.
	Logical struct {
		At
		Op   Op
		L, R Expr
	}
	// Assign is an assignment; Op is OpNone for =, else the operator before the =.
	Assign struct {
		At
		Op     Op
		Target Pattern
		Value  Expr
	}
	Cond struct {
		At
		Test, Yes, No Expr
	}
	Call struct {
		At
		Fn       Expr
		Args     []Expr // may hold Spread
		Optional bool   // fn?.()
		Eval     bool   // a direct eval
		Tagged   bool
	}
	New struct {
		At
		Fn   Expr
		Args []Expr
	}
	Member struct {
		At
		X        Expr
		Name     string // "#x" for private names
		Optional bool   // x?.name
		NamePos  int32
	}
	Index struct {
		At
		X, I     Expr
		Optional bool
	}
	// Chain ends optional chaining: when a ?. inside short-circuits, the Chain is undefined.
	Chain struct {
		At
		X Expr
	}
	Spread struct {
		At
		X Expr
	}
	Yield struct {
		At
		X    Expr // nil when none
		Star bool
	}
	Await struct {
		At
		X Expr
	}
	// DynImport is import(X).
	DynImport struct {
		At
		X       Expr
		Options Expr
	}
	Seq struct {
		At
		List []Expr
	}

	ArrayPat struct {
		At
		Items []PatItem // a nil Target is a hole
		Rest  bool      // the last item takes the rest
	}
	PatItem struct {
		Target  Pattern
		Default Expr
	}
	ObjectPat struct {
		At
		Props []PatProp
		Rest  Pattern // nil when none
	}
	PatProp struct {
		Name      string
		Computed  Expr
		Target    Pattern
		Default   Expr
		Shorthand bool // written {a} or {a = 1}
		Pos       int32
	}

	ExprStmt struct {
		At
		X Expr
	}
	// Decl is one declarator of var, let, const, using. Init nil in a let resets the slot to undefined; in a var it does nothing.
	Decl struct {
		At
		Kind   DeclKind
		Target Pattern
		Init   Expr
	}
	ClassDecl struct {
		At
		Target Pattern
		Class  *Class
	}
	Return struct {
		At
		X Expr // nil when none
	}
	Throw struct {
		At
		X Expr
	}
	If struct {
		At
		Test    Expr
		Yes, No Stmt // No is nil when absent
	}
	// For is for(;;), while and do-while. Init, Test, Update are nil when absent. Scope, when set, is a frame for the head's
	// bindings, copied for every turn.
	For struct {
		At
		Scope  *Scope
		Init   []Stmt
		Test   Expr
		Update Expr
		Body   Stmt
		Post   bool // test after the body: do-while
	}
	// ForIn is for-in and for-of. Target is assigned once a turn; with Scope, in a new frame.
	ForIn struct {
		At
		Scope  *Scope
		Of     bool
		Await  bool
		Decl   bool // declares its target
		Target Pattern
		X      Expr
		Body   Stmt
	}
	BlockStmt struct {
		At
		*Block
	}
	Try struct {
		At
		Body    *Block
		Catch   *Block // nil when none; its Scope holds Param too
		Param   Pattern
		Finally *Block
	}
	Switch struct {
		At
		X     Expr
		Block *Block // Scope and Funcs of all cases; Stmts unused
		Cases []Case
	}
	Case struct {
		Test Expr // nil for default
		Body []Stmt
	}
	Label struct {
		At
		Name string
		Body Stmt
	}
	Break struct {
		At
		Label string
	}
	Continue struct {
		At
		Label string
	}
	// With always makes a frame, in which the object stands and of which Scope names the slots.
	With struct {
		At
		Scope *Scope
		X     Expr
		Body  Stmt
	}
)

// DeclKind is how a variable is declared.
type DeclKind uint8

const (
	DeclVar DeclKind = iota
	DeclLet
	DeclConst
	DeclUsing
)

func (*Undefined) expr()  {}
func (*Null) expr()       {}
func (*This) expr()       {}
func (*Super) expr()      {}
func (*NewTarget) expr()  {}
func (*ImportMeta) expr() {}
func (*Bool) expr()       {}
func (*Num) expr()        {}
func (*Str) expr()        {}
func (*BigInt) expr()     {}
func (*Regexp) expr()     {}
func (*Template) expr()   {}
func (*Ident) expr()      {}
func (*Global) expr()     {}
func (*ImportRef) expr()  {}
func (*Array) expr()      {}
func (*Object) expr()     {}
func (*FuncExpr) expr()   {}
func (*ClassExpr) expr()  {}
func (*Unary) expr()      {}
func (*Update) expr()     {}
func (*Binary) expr()     {}
func (*Logical) expr()    {}
func (*Assign) expr()     {}
func (*Cond) expr()       {}
func (*Call) expr()       {}
func (*New) expr()        {}
func (*Member) expr()     {}
func (*Index) expr()      {}
func (*Chain) expr()      {}
func (*Spread) expr()     {}
func (*Yield) expr()      {}
func (*Await) expr()      {}
func (*DynImport) expr()  {}
func (*Seq) expr()        {}

func (*Ident) pattern()     {}
func (*Global) pattern()    {}
func (*ImportRef) pattern() {}
func (*Member) pattern()    {}
func (*Index) pattern()     {}
func (*ArrayPat) pattern()  {}
func (*ObjectPat) pattern() {}

func (*ExprStmt) stmt()  {}
func (*Decl) stmt()      {}
func (*ClassDecl) stmt() {}
func (*Return) stmt()    {}
func (*Throw) stmt()     {}
func (*If) stmt()        {}
func (*For) stmt()       {}
func (*ForIn) stmt()     {}
func (*BlockStmt) stmt() {}
func (*Try) stmt()       {}
func (*Switch) stmt()    {}
func (*Label) stmt()     {}
func (*Break) stmt()     {}
func (*Continue) stmt()  {}
func (*With) stmt()      {}
