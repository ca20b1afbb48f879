//go:build tools

// Package tools names h2spec, so that its version and those of all it needs are written down.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2spec"
