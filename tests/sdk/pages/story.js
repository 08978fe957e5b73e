// Tells a story with the browser SDK of the page and leaves what it sent in `window.told`.
// The SDK remembers who the visitor is, so the ids of the calls are not passed on.
async function tell(analytics, story) {
  const calls = {
    track: (call) => analytics.track(call.event, call.properties),
    page: (call) => analytics.page(call.name, call.properties),
    screen: (call) => analytics.screen(call.name, call.properties),
    identify: (call) => analytics.identify(call.userId, call.traits),
    group: (call) => analytics.group(call.groupId, call.traits),
    alias: (call) => analytics.alias(call.userId, analytics.user().anonymousId()),
  }
  const made = []
  for (const call of story) {
    // Who she is comes out later than what she did: without the pause all of it would be sent under her user id,
    // because the SDK fills in who the visitor is when it sends, not when it is called.
    if (call.type === 'identify') await Promise.all(made)
    made.push(calls[call.type](call))
  }
  const settled = await Promise.all(made)
  window.told = {
    sent: settled.map((ctx) => ({ type: ctx.event.type, messageId: ctx.event.messageId })),
    anonymousId: analytics.user().anonymousId(),
  }
}
