// Tells a story with the unmodified @segment/analytics-node. argv[2]: {key, host, story, flushAt, timeoutMs}
const { Analytics } = require('@segment/analytics-node')

const job = JSON.parse(process.argv[2])
const sent = []
const failed = []

const analytics = new Analytics({
  writeKey: job.key,
  host: job.host,
  flushAt: job.flushAt,
  flushInterval: 50,
  httpRequestTimeout: job.timeoutMs,
})
analytics.on('error', (error) => failed.push(String(error.reason ?? error.code)))

for (const { type, ...fields } of job.story) {
  analytics[type](fields, (error, ctx) => sent.push({ type, messageId: ctx.event.messageId }))
}

analytics.closeAndFlush({ timeout: 60000 }).then(() => {
  console.log(JSON.stringify({ sent, failed }))
})
