// Tells a story with the unmodified @rudderstack/rudder-sdk-node. argv[2]: {key, host, story, flushAt}
const zlib = require('zlib')
const Analytics = require('@rudderstack/rudder-sdk-node')

const job = JSON.parse(process.argv[2])
const sent = new Map()
const failed = []
let answered = 0

const analytics = new Analytics(job.key, {
  dataPlaneUrl: job.host,
  flushAt: job.flushAt,
  flushInterval: 50,
  logLevel: 'none',
  errorHandler: (error) => failed.push(String(error)),
})

function done(error, data) {
  // The callback gets the body as it was sent: the whole batch, compressed, once per message in it.
  for (const { type, messageId } of JSON.parse(zlib.gunzipSync(data)).batch) sent.set(messageId, { type, messageId })
  answered += 1
  if (answered < job.story.length) return
  console.log(JSON.stringify({ sent: [...sent.values()], failed }))
}

for (const { type, ...fields } of job.story) analytics[type](fields, done)
analytics.flush()
