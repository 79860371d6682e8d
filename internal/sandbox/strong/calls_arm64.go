package strong

var older []meaning

// opening are the points of calls that open a file by name.
var opening = []string{"openat"}
