// Package webhook tells web services of what happened, signed as Standard Webhooks has it (version 1, symmetric): each message is kept in a queue on the disk (package
// outbox) until the service has taken it, for five days at most, and comes at least once, always under the same id.
//
// It decides neither what is told nor what a message says; [Hooks.Tell] takes both. Redirects are not followed, answers are not read beyond their status, and each
// service has its own queue and worker, so one that hangs holds up no other.
//
// # Usage
//
//	h, err := webhook.New(webhook.Config{Dir: dir, Hooks: []webhook.Hook{{URL: url, Secret: secret}}})
//	go h.Run(ctx)
//	err = h.Tell("recording.sealed", at, folder, data)
//
// # Concurrency
//
// Run starts one worker for each hook, and awaits them. Tell waits for the disk, never for a service.
//
// # Limits
//
// 16 hooks, messages of 20 KiB. A service that is not there is asked by one message at a time, every ten minutes at last.
//
// # Standards
//
// Standard Webhooks, version 1: webhook-id, webhook-timestamp, webhook-signature with v1 (HMAC-SHA256), whsec_ secrets, its schedule of retries, 410.
//
// # Testing
//
// Against the specification's example, with days in synctest's time; package peertest has its npm library verify what we send.
package webhook
