// Tells a story with the unmodified analytics-node (before its 2022 rewrite). argv[2]: {key, host, story, flushAt}
const Analytics = require('analytics-node')

const job = JSON.parse(process.argv[2])
const sent = new Map()
const failed = []
let answered = 0

const analytics = new Analytics(job.key, {
  host: job.host,
  flushAt: job.flushAt,
  flushInterval: 50,
  // Without it a lost batch is an unhandled rejection and ends the process.
  errorHandler: (error) => failed.push(String(error)),
})

function done(error, data) {
  // The callback gets the whole batch, once per message in it.
  for (const { type, messageId } of data.batch) sent.set(messageId, { type, messageId })
  answered += 1
  if (answered < job.story.length) return
  console.log(JSON.stringify({ sent: [...sent.values()], failed }))
}

for (const { type, ...fields } of job.story) analytics[type](fields, done)
analytics.flush()
