// Faults: what is at work, and one sentence to set another.
import { api } from './api.js'
import { VENDORS, attempt, copyable, count, fill, gone, h, labelled, mark, plural, refill, scroller, select, since } from './ui.js'

const ANSWERS = [['429', '429 Too Many Requests'], ['503', '503 Service Unavailable'], ['413', '413 Too Large'], ['401', '401 wrong key'], ['hang', 'nothing, ever (hangs)'], ['reset', 'with a reset connection'], ['lost_reply', 'nothing, but keeps the events'], ['truncate', 'half of an answer'], ['garbage', '200 with a body that is not JSON'], ['slow', 'properly, but slowly']]
const PRESETS = [
	['Rate limit', { vendor: 'amplitude', what: '429', retry: 3, times: 5 }], ['Outage', { vendor: 'rudderstack', what: '503' }],
	['Lost reply', { vendor: 'rudderstack', what: 'lost_reply', times: 1 }], ['Slow vendor', { vendor: 'amplitude', what: 'slow' }],
	['Dead vendor', { vendor: 'statsig', what: 'hang' }], ['Wrong key', { vendor: 'amplitude', what: '401' }],
	['Rules down', { vendor: 'statsig-rules', what: '503', times: 2 }], ['1 in 10 fails', { vendor: 'any', what: '503', chance: 10 }],
]
const PRESET = { retry: 0, delay: 2, times: '', chance: 100 }
const EXPECT = {
	429: 'the client waits as long as Retry-After says, then sends the same events with the same ids; Live shows ↻ lost, then ✓ on try 2.',
	503: 'the batch is sent again, after longer and longer waits; other vendors are not held up. After 15 minutes the events are dropped, and reported.',
	413: 'the batch is split in halves until each fits; no event is lost.',
	401: 'the destination halts with one error in the log, and probes every 5 minutes; its events wait. Clients shows “halted”.',
	hang: 'the request times out and is sent again; the queue grows meanwhile, up to its bound.',
	reset: 'the connection is lost before an answer, so the batch is sent again.',
	lost_reply: 'the vendor has the events, and the client does not know: it sends them again, and they show as copies (=).',
	truncate: 'an answer that breaks off is no answer: the batch is sent again, and shows as copies (=).',
	garbage: 'a 200 that cannot be read: the client has to decide. Look at what explain() says.',
	slow: 'your handlers stay as fast as before; only the queue feels it.',
}
const VENDOR_NAMES = { any: 'Any vendor', 'statsig-rules': 'Statsig’s rules', ...Object.fromEntries(Object.entries(VENDORS).map(([k, v]) => [k, v.name])) }
const phrase = (...parts) => h('span', { class: 'phrase' }, parts)
const vendorName = (v) => VENDOR_NAMES[v || 'any'] || v

export function faults(root, { href }) {
	const f = { ...PRESET, vendor: 'amplitude', what: '429', retry: 3, times: 5 }
	const form = h('form', { class: 'sentence', onsubmit: add }), list = h('div'), line = h('div')
	const preset = ([title, values]) => h('button', { onclick: () => { Object.assign(f, PRESET, values); draw() } }, title)
	root.append(h('section', { class: 'view page', 'aria-label': 'Faults' }, h('div', { class: 'page-in' }, h('h1', {}, 'Faults'),
		h('p', { class: 'lead' }, 'Let a vendor have a bad day, and watch the client cope: retries, Retry-After, splits, and what is dropped at the end.'),
		h('div', { class: 'presets', role: 'group', 'aria-label': 'Ready-made faults' }, PRESETS.map(preset)), form, line, list)))

	/** The fault as the API takes it. */
	function body() {
		const fault = { vendor: f.vendor === 'any' ? null : f.vendor }
		if (/^\d/.test(f.what)) fault.status = +f.what
		else if (f.what === 'slow') fault.delay = +f.delay
		else fault.end = f.what
		if (f.what === '429' && +f.retry) fault.retry_after = +f.retry
		if (+f.times) fault.times = +f.times
		if (+f.chance < 100) fault.probability = +f.chance / 100
		return fault
	}
	function add(e) {
		e.preventDefault()
		attempt(() => api.addFault(body()), `${vendorName(f.vendor)}: set`)
	}
	function command() {
		const curl = `curl -X POST ${api.url}/__dev/faults -H 'Content-Type: application/json' -d '${JSON.stringify(body())}'`
		fill(line, h('p', { class: 'expect' }, h('b', {}, 'What to look for: '), EXPECT[f.what]), copyable(curl))
	}
	const number = (k, label, props) => labelled(label, h('input', { type: 'number', id: `f-${k}`, value: f[k], oninput: (e) => { f[k] = e.target.value; command() }, ...props }))
	function draw() {
		refill(form,
			phrase(labelled('Vendor', select(['amplitude', 'rudderstack', 'statsig', 'statsig-rules', 'any'].map((v) => [v, vendorName(v)]), f.vendor, (v) => { f.vendor = v; command() }, { id: 'f-vendor' })), 'answers'),
			labelled('Answer', select(ANSWERS, f.what, (v) => { f.what = v; draw() }, { id: 'f-what' })),
			f.what === '429' && phrase('with Retry-After', number('retry', 'Retry-After in seconds', { min: 0 }), 's'),
			f.what === 'slow' && phrase('after', number('delay', 'Delay in seconds', { min: 0, step: 0.1 }), 's'),
			phrase('to the next', number('times', 'How many requests; empty: all', { min: 1, placeholder: 'all' }), 'requests,'),
			phrase('to', number('chance', 'Percentage of them', { min: 1, max: 100 }), '% of them.'), h('button', { type: 'submit', class: 'primary' }, 'Start'))
		command()
		table()
	}
	function table() {
		const all = api.faults(), open = all.filter((x) => x.left !== 0)
		refill(list, all.length ? [
			h('div', { class: 'tablehead' }, h('h2', {}, open.length ? `${open.length} at work` : 'None at work'), h('button', { id: 'f-all', onclick: () => attempt(api.removeFaults, 'All faults are removed') }, 'Clear all')),
			scroller('Faults at work', h('table', { class: 'plain cards' },
				h('thead', {}, h('tr', {}, ['Vendor', 'Answers', 'Hit', 'Left', 'Since', ''].map((t) => h('th', { scope: 'col', class: t === 'Hit' ? 'num' : '' }, t || gone('Stop'))))), h('tbody', {}, all.map(faultRow))))]
			: h('div', { class: 'teach' }, h('h2', {}, 'All vendors behave'), h('p', {}, 'Pick a bad day above. Events that a fault keeps from a vendor show in Live as ', h('span', { class: 't-warn' }, '↻ lost'), ', and as accepted when the retry gets through.')))
	}
	function faultRow(x) {
		const left = x.left == null ? 'until stopped' : !x.left ? 'used up'
			: h('span', { class: 'left' }, h('span', { class: 'pips', 'aria-hidden': 'true' }, Array.from({ length: Math.min(x.times || x.left, 10) }, (_, i) => h('i', { class: i < x.left ? '' : 'used' }))), count(x.left))
		const answer = [x.status, x.end && x.end !== 'answer' ? x.end : '', x.delay ? `after ${x.delay} s` : ''].filter(Boolean).join(', ') || 'another reply'
		const seen = href('live', { q: `${x.vendor in VENDORS ? `vendor:${x.vendor} ` : ''}is:lost` })
		return h('tr', { class: x.left === 0 ? 'spent' : '' },
			h('th', { scope: 'row' }, x.vendor in VENDORS ? mark(x.vendor, { label: false }) : null, ' ', vendorName(x.vendor)),
			h('td', { 'data-label': 'Answers' }, answer, x.retry_after ? h('small', {}, `Retry-After ${x.retry_after}`) : null, x.probability < 1 ? h('small', {}, `${+(x.probability * 100).toFixed(1)} %`) : null),
			h('td', { class: 'num', 'data-label': 'Hit' }, plural(x.hits || 0, 'request')), h('td', { 'data-label': 'Left' }, left),
			h('td', { class: 'dim', 'data-label': 'Since' }, since(x.since)),
			h('td', { class: 'end' }, h('a', { class: 'button small', href: seen, 'aria-label': `See the events of ${vendorName(x.vendor)}` }, 'See'), ' ',
				h('button', { class: 'small', 'aria-label': `Stop the fault of ${vendorName(x.vendor)}`, onclick: () => attempt(() => api.removeFault(x)) }, x.left === 0 ? 'Forget' : 'Stop')))
	}
	draw()
	return { changed: table, json: () => '/faults.json' }
}
