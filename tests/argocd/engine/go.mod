module engine

go 1.24

require (
	github.com/Masterminds/sprig/v3 v3.3.0
	github.com/argoproj/notifications-engine v0.5.0
	github.com/yuin/gopher-lua v1.1.1
	k8s.io/api v0.32.2
)
