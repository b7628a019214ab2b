package ringsim

import "slices"

// without takes scopes and user permissions away from an account whose own lists are left alone.
func (a *Account) without(scopes, permissions []string) {
	if len(scopes) > 0 {
		a.Apps = slices.Clone(a.Apps)
		for i := range a.Apps {
			a.Apps[i].Scopes = slices.DeleteFunc(slices.Clone(a.Apps[i].Scopes), func(s string) bool { return slices.Contains(scopes, s) })
		}
	}
	if len(permissions) > 0 {
		a.Extensions = slices.Clone(a.Extensions)
		for i := range a.Extensions {
			a.Extensions[i].Denied = append(slices.Clone(a.Extensions[i].Denied), permissions...)
		}
	}
}
