// Prints the snippet that a site owner pastes into a page, from the unmodified @segment/snippet.
// argv[2]: {key, cdn}: the key and the host of the CDN are all that differ from Segment's own.
const snippet = require('@segment/snippet')

const { key, cdn } = JSON.parse(process.argv[2])
const { protocol, host } = new URL(cdn)
const printed = snippet.min({ apiKey: key, host, useHostForBundles: true, page: true })
// The snippet assumes https, which a server on this machine does not speak.
console.log(printed.replaceAll(`https://${host}`, `${protocol}//${host}`))
