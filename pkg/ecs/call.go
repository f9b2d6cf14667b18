package ecs

// For packages that call other services of AWS beside ECS and report their errors
// in the same way.

// During says during which call err came up, in AWS's own words; nil stays nil.
func During(what string, err error) error { return during(what, err) }

// CodeOf returns the code of an error of an AWS service, "" for any other error.
func CodeOf(err error) string { return codeOf(err) }
