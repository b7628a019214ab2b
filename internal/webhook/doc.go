// Package webhook tells web services of what happened, signed as Standard Webhooks has it (version 1, symmetric): each message is kept in a queue on the disk (package
// outbox) until the service has taken it, for five days at most, and comes at least once, always under the same id.
//
// It decides neither what is told nor what a message says; [Hooks.Tell] takes both. Redirects are not followed, answers are not read beyond their status, and each
// service has its own queue and worker, so one that hangs holds up no other.
package webhook
