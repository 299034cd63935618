module github.com/muniment/muniment/conformance

go 1.26.0

require github.com/cometbft/cometbft v1.0.1

require github.com/goccmack/goutil v1.2.3 // indirect
