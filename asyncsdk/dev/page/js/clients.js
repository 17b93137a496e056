// Clients: each connected SDK, what it holds, what it lost, how old its rules are.
import { api } from './api.js'
import { ago, bytes, copyable, count, dim, h, mark, refill, scroller, since } from './ui.js'

const IDS = { Statsig: 'statsig', RudderStack: 'rudderstack', Amplitude: 'amplitude' }
const STALE_SECONDS = 30, QUIET_MS = 15_000
const COLUMNS = [['Destination'], ['State'], ['Queued', 'num'], ['Oldest', 'num'], ['Delivered', 'num'], ['Rejected', 'num'], ['Dropped', 'num'], ['Retries', 'num'], ['Last trouble']]
const total = (counts) => (typeof counts === 'number' ? counts : Object.values(counts || {}).reduce((a, b) => a + b, 0))
const reasons = (counts) => (typeof counts === 'object' && counts ? Object.entries(counts).map(([k, n]) => `${k} ${n}`).join(', ') : '')

export function clients(root) {
	const list = h('div')
	root.append(h('section', { class: 'view page', 'aria-label': 'Clients' }, h('div', { class: 'page-in wide' }, h('h1', {}, 'Clients'), list)))
	function draw() {
		const all = api.clients()
		refill(list, all.length ? all.map(card) : noClient())
	}
	draw()
	const timer = setInterval(async () => { await api.refresh('clients'); draw() }, 2000)
	return { changed: (what) => what === 'clients' && draw(), leave: () => clearInterval(timer), json: () => '/clients.json' }
}
const noClient = () => h('div', { class: 'teach' }, h('h2', {}, 'No client is connected'),
	h('p', {}, 'A client connects when it asks for rules or sends its first event. In the shell of your app:'), copyable(`export ASYNCSDK_DEV_SERVER=${api.url}`),
	h('p', {}, 'Another SDK? Give it this address: ', h('code', {}, `${api.url}/v1`), ' (Statsig), ', h('code', {}, api.url), ' (RudderStack), ', h('code', {}, `${api.url}/2/httpapi`), ' (Amplitude).'))

function card(c) {
	const isQuiet = Date.now() - c.last > QUIET_MS, runtime = [c.python && `Python ${c.python}`, c.pid && `pid ${c.pid}`, c.user].filter(Boolean).join(', ')
	return h('article', { class: 'client', 'aria-label': c.name },
		h('header', {}, h('i', { class: isQuiet ? 'dot' : 'dot up', 'aria-hidden': 'true' }), h('h2', {}, c.name || c.sdk), c.name && dim(c.sdk), runtime && dim(runtime),
			h('span', { class: 'dim end' }, `connected for ${ago(c.since)}, heard ${since(c.last)}${isQuiet ? '; it may have ended' : ''}`)),
		c.health?.rules && rulesAge(c.health.rules),
		c.health ? [spool(c.health.spool), destinations(c)] : h('p', { class: 'dim' }, 'This SDK does not report its queue. What it sent is in ', h('a', { href: '/live' }, 'Live'), '.'))
}
function rulesAge(r) {
	const isStale = r.age > STALE_SECONDS, age = r.age == null ? 'never' : r.age < 10 ? 'just now' : `${Math.round(r.age)} s ago`
	const trouble = r.last_error ? `; the last ${r.failures > 1 ? `${r.failures} tries` : 'try'} failed: ${r.last_error}. It works with the rules it has.` : `, ${count(r.names ?? 0)} names.`
	return h('p', { class: `rules-age${isStale || r.last_error ? ' t-warn' : ''}` }, isStale ? '! ' : '', `Rules from ${r.source}, asked ${age}`, trouble)
}
const spool = (s) => (s ? h('p', { class: s.state === 'ok' ? 'dim' : 't-warn' }, `Spool ${s.state}: ${count(s.waiting ?? 0)} events on disk, ${bytes(s.bytes ?? 0)}`) : null)
function destinations(c) {
	return scroller(`Destinations of ${c.name || c.sdk}`, h('table', { class: 'plain tight' },
		h('thead', {}, h('tr', {}, COLUMNS.map(([t, cls]) => h('th', { scope: 'col', class: cls }, t)))),
		h('tbody', {}, Object.entries(c.health.destinations).map(([name, d]) => destination(name, d)))))
}
function destination(name, d) {
	const counts = d.counts || {}
	return h('tr', {}, h('th', { scope: 'row' }, mark(IDS[name] || name.toLowerCase(), { label: false }), ' ', name),
		h('td', {}, h('span', { class: `st st-${d.state}` }, d.state), d.retry_in ? h('small', {}, `in ${d.retry_in.toFixed(1)} s`) : null),
		number(d.queued_events, d.queued_events ? bytes(d.queued_bytes) : ''), h('td', { class: 'num dim' }, d.oldest ? `${d.oldest.toFixed(1)} s` : '–'),
		number(total(counts.delivered)), number(total(counts.rejected), reasons(counts.rejected), 'bad'), number(total(counts.dropped), reasons(counts.dropped), 'bad'), number(d.retries),
		h('td', { class: 'dim' }, d.state === 'ok' && d.last_error ? `${d.last_error}, recovered` : d.last_error || '–'))
}
const number = (n, note, tone) => h('td', { class: `num${n ? (tone ? ` t-${tone}` : '') : ' dim'}`, title: note || null }, n ? count(n) : '–', n && note ? h('small', {}, note) : null)
