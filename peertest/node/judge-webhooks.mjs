// Verifies webhooks with the library of Standard Webhooks: {"secret", "headers", "body"}, one a line, on standard input.
import { createInterface } from 'node:readline'
import { Webhook } from 'standardwebhooks'

let verified = 0
for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line)
  const webhook = new Webhook(secret)
  webhook.verify(body, headers)
  let taken = true
  try {
    webhook.verify(body.replace('"type"', '"Type"'), headers)
  } catch {
    taken = false
  }
  if (taken) throw new Error('a changed body was taken')
  verified++
}
console.log(JSON.stringify({ verified }))
