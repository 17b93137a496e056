// The side panel: one event's whole story, in the order of the questions: did it arrive, why not, what was sent, what had
// the same user been shown.
import { api } from './api.js'
import { pretty } from './json.js'
import { resend } from './resend.js'
import { VENDORS, bytes, clock, copy, copyButton, dim, duration, fill, h, iso, mark, plural, say, sign, since, tone } from './ui.js'
import { because } from './verdict.js'

const TABS = [['payload', 'Payload'], ['request', 'Request'], ['user', 'Same user'], ['explain', 'explain()']]
const MAX_BODY = 1400
// What was looked at last: the next event opens with it.
let tab = 'payload', isRaw = false, chosen = null, opened = 0

export async function panel(root, row, { close, step, user, near, go, href }) {
	const turn = ++opened
	const story = await api.story(row.arrivals[0]).catch(() => null)
	if (turn !== opened) return
	const arrived = (v) => (row.by[v]?.local ? undefined : row.by[v])
	const involved = Object.keys(VENDORS).filter((v) => row.by[v] || story?.vendors?.[v])
	const withVerdict = (verdict) => involved.find((v) => arrived(v)?.verdict === verdict)
	const worst = withVerdict('rejected') || withVerdict('lost') || involved.find((v) => arrived(v)?.attempt > 1)
	let vendor = worst || (arrived(chosen) ? chosen : involved.find(arrived))
	const focused = root.contains(document.activeElement) ? document.activeElement.id : ''
	const tries = () => row.arrivals.filter((a) => a.vendor === vendor)

	const table = h('div', { class: 'outcomes', role: 'radiogroup', 'aria-label': 'Vendor whose side is shown' })
	const tabs = h('div', { class: 'p-tabs', role: 'tablist', 'aria-label': 'Parts of the story' })
	const body = h('div', { class: 'p-body', id: 'p-body', role: 'tabpanel', tabIndex: 0 })
	const draw = () => {
		fill(table, involved.map((v) => vendorLine(row, v, { arrived: arrived(v), outcome: story?.vendors?.[v], isOn: v === vendor, pick: () => { vendor = chosen = v; draw() } })))
		fill(tabs, TABS.map(tabButton))
		body.setAttribute('aria-labelledby', `pt-${tab}`)
		parts[tab]()
	}
	function show(id, focus = false) {
		tab = id
		draw()
		if (focus) document.getElementById(`pt-${id}`).focus()
	}
	function tabButton([id, label], i) {
		const turnTo = (e) => {
			const d = { ArrowRight: 1, ArrowLeft: -1 }[e.key]
			if (!d) return
			e.stopPropagation()
			show(TABS[(i + d + TABS.length) % TABS.length][0], true)
		}
		return h('button', { role: 'tab', id: `pt-${id}`, 'aria-selected': String(id === tab), 'aria-controls': 'p-body', tabIndex: id === tab ? 0 : -1, onclick: () => show(id), onkeydown: turnTo }, label)
	}
	const parts = {
		payload: () => drawPayload(body, vendor, tries(), row, story, () => parts.payload()),
		request: () => drawRequests(body, tries()),
		user: () => drawUser(body, row, near, tries().at(-1), { user, go, href }),
		explain: () => drawExplanation(body, row, story),
	}
	fill(root, header(row, { close, step, user }), table, tabs, body)
	draw()
	if (focused) document.getElementById(focused)?.focus()
}

function header(row, { close, step, user }) {
	const { id } = row.arrivals[0]
	const icon = (label, title, onclick, text) => h('button', { class: 'icon', id: `p-${label.split(' ')[0].toLowerCase()}`, 'aria-label': label, title, onclick }, text)
	return h('header', { class: 'p-head' },
		h('div', { class: 'p-top' },
			h('span', { class: 'p-type' }, row.type),
			h('div', { class: 'p-nav' }, resend(row),
				icon('Newer event', 'Newer (k)', () => step(-1), '↑'), icon('Older event', 'Older (j)', () => step(1), '↓'), icon('Close', 'Close (Esc)', close, '✕'))),
		h('h2', {}, row.name, row.sees && h('span', { class: `sees v-${row.sees.value}` }, String(row.sees.value))),
		h('p', { class: 'p-meta' },
			row.user ? h('button', { class: 'link', title: 'Only this user', onclick: () => user(row.user) }, row.user) : 'no user',
			h('span', { class: 'dim', title: iso(row.at) }, `${clock(row.at)}, ${since(row.at)}`),
			id && h('button', { class: 'link mono dim', title: `Copy ${id}`, 'aria-label': `Copy the id ${id}`, onclick: async () => say(await copy(id) ? 'Copied' : 'Not copied') }, `${id.slice(0, 8)}…`)))
}

function vendorLine(row, vendor, { arrived, outcome, isOn, pick }) {
	const tries = row.arrivals.filter((a) => a.vendor === vendor), status = arrived?.verdict || outcome?.status || row.by[vendor]?.verdict
	return h('label', { class: `outcome${arrived ? '' : ' off'}${isOn ? ' on' : ''}` },
		h('input', { type: 'radio', name: 'outcome', id: `outcome-${vendor}`, checked: isOn, disabled: !arrived, onchange: pick }),
		mark(vendor, { hollow: row.exposure, label: false }), h('span', { class: 'outcome-name' }, VENDORS[vendor].name),
		h('span', { class: `outcome-what t-${tone(status)}` }, sign(status), outcomeWords(arrived, outcome || row.by[vendor], status)),
		tries.length ? h('span', { class: 'ticks', role: 'img', 'aria-label': plural(tries.length, 'attempt') }, tries.map((t) => h('i', { class: `t-${tone(t.blamed === false ? 'lost' : t.verdict)}`, title: `${clock(t.at)} ${t.verdict}` }))) : h('span'),
		h('span', { class: 'dim num' }, arrived ? bytes(arrived.last.size) : ''))
}
function outcomeWords(arrived, outcome, status) {
	if (!arrived) return `${status}${status === 'rejected' ? ' before sending' : ''}${outcome?.reason ? `: ${outcome.reason}` : ''}`
	if (status === 'rejected') return because(arrived.reason)
	if (status === 'lost') return `${because(arrived.reason)}, not stored`
	return status === 'duplicate' ? 'copy, ignored' : 'accepted'
}

// A path that the client tells (`traits['email']`) in the words of the payload.
const inPayload = (path) => path.replace(/\['([^']+)'\]/g, '.$1').replace(/^fields\./, '')
async function drawPayload(body, vendor, tries, row, story, redraw) {
	if (!tries.length || tries.at(-1).local) { fill(body, h('p', { class: 'note dim' }, 'It was never sent, so no vendor has a payload of it.')); return }
	const value = await api.body(tries.at(-1)).catch(() => undefined)
	if (value === undefined) { fill(body, h('p', { class: 'note dim' }, 'The server does not keep its payload any more.')); return }
	const words = (story?.changed || []).map(inPayload)
	const isChanged = (path) => words.some((w) => path.endsWith(w) || path.replace(/^(event_properties|properties|metadata)\./, 'properties.') === w)
	const note = !story?.verb ? null : words.length
		? h('p', { class: 'note' }, h('b', {}, 'Middleware changed'), ' ', words.map((w, i) => [i ? ', ' : '', h('code', { class: 'changed' }, w)]))
		: h('p', { class: 'note dim' }, 'No middleware changed it')
	fill(body, note,
		h('div', { class: 'sub' }, h('span', {}, `As ${VENDORS[vendor].name} received it`),
			h('button', { class: 'small', id: 'p-raw', 'aria-pressed': String(isRaw), onclick: () => { isRaw = !isRaw; redraw(); document.getElementById('p-raw')?.focus() } }, 'Raw'),
			copyButton(() => JSON.stringify(value, null, 2))),
		h('pre', { class: isRaw ? 'code wrap' : 'code' }, isRaw ? JSON.stringify(value) : pretty(value, 0, isChanged)))
}

async function drawRequests(body, tries) {
	const requests = await Promise.all(tries.map((a) => api.request(a).catch(() => null)))
	fill(body, h('ol', { class: 'attempts' }, tries.map((a, i) => [
		i > 0 && h('li', { class: 'gap' }, `waited ${duration(a.at - tries[i - 1].at)}`),
		h('li', {}, attemptDetails(a, requests[i], i === tries.length - 1 || a.verdict === 'rejected'))])))
}
function attemptDetails(a, request, open) {
	const verdict = a.blamed === false ? 'lost' : a.verdict, status = request?.answer?.status
	const words = a.verdict === 'accepted' ? `The vendor has it, but its answer never came: ${request?.fault}.`
		: a.verdict === 'duplicate' ? 'A copy: the vendor had it already, and ignored this one.' : because(a.reason) || a.verdict
	return h('details', { open },
		h('summary', {}, sign(verdict), h('b', {}, `Attempt ${a.attempt}`), h('span', { class: `code-${String(status || 0)[0]}` }, status ?? 'no answer'), dim(request?.ms != null ? `${request.ms} ms` : ''), h('span', { class: 'dim num' }, clock(a.at))),
		(a.verdict !== 'accepted' || (request?.fault && !status)) && h('p', { class: `t-${tone(verdict)}` }, words, request?.fault && dim(' A fault that was set here.')),
		request ? [h('h3', {}, 'Answer'), h('pre', { class: 'code' }, answerText(request.answer)),
			h('h3', {}, `Request #${request.n}: ${plural(request.events, 'event')}, ${bytes(request.wire)} on the wire, ${bytes(request.plain)} plain`),
			h('pre', { class: 'code' }, `${request.method} ${request.path}\n${headerText(request.headers)}`)]
			: h('p', { class: 'dim' }, 'The server does not keep this request any more.'))
}
const headerText = (headers) => (Array.isArray(headers) ? headers : Object.entries(headers || {})).map(([k, v]) => `${k}: ${v}`).join('\n')
function answerText(answer) {
	if (!answer?.status) return 'none'
	return `${answer.status}\n${headerText(answer.headers)}\n\n${tidy(answer.body)}`
}
function tidy(body) {
	let text = body ?? ''
	try { text = JSON.stringify(typeof text === 'string' ? JSON.parse(text) : text, null, 2) } catch { /* Not JSON: as it is. */ }
	return text.length > MAX_BODY ? `${text.slice(0, MAX_BODY)}\n…` : text || '(no body)'
}

async function drawUser(body, row, near, last, { user, go, href }) {
	if (!near.length) { fill(body, h('p', { class: 'note dim' }, 'It names no user.')); return }
	const carried = last ? flagsOf(await api.body(last).catch(() => null)) : null
	const lane = (r) => {
		const isThis = r === row
		const content = r.exposure ? [h('span', {}, r.name), h('span', { class: `sees v-${r.sees?.value}` }, String(r.sees?.value ?? ''))] : [h('span', {}, r.name), dim(r.type)]
		return h('div', { role: 'listitem', class: `lane${isThis ? ' here' : ''}` },
			h('button', { class: r.exposure ? 'left' : 'right', 'aria-current': isThis ? 'true' : null, onclick: () => go(r) }, content),
			h('i', { class: `dot${r.exposure ? ' hollow' : ''}`, 'aria-hidden': 'true' }), h('time', {}, isThis ? 'this' : `${r.at < row.at ? '−' : '+'}${duration(Math.abs(r.at - row.at))}`))
	}
	fill(body, h('p', { class: 'note' }, 'What ', h('b', {}, row.user), ' was being shown, beside what they did. Newest first.'),
		carried && h('p', { class: 'note' }, 'This event carries ', carried.map(([k, v], i) => [i ? ', ' : '', h('code', { class: 'flagged' }, `${k}: ${v}`)])),
		h('div', { class: 'lanes-head', 'aria-hidden': 'true' }, h('span', {}, 'shown'), h('span'), h('span', {}, 'did')),
		h('div', { class: 'lanes', role: 'list', 'aria-label': 'Exposures and events of this user' }, [...near].reverse().map(lane)),
		near.some((r) => r.exposure) ? null : h('p', { class: 'dim' }, 'No exposure of this user before it: nothing was looked up for them, or it is no longer kept.'),
		h('p', {}, h('button', { onclick: () => user(row.user) }, `Only ${row.user} in the list`), ' ', h('a', { class: 'button', href: href('who', { user: row.user }) }, 'What do they see now?')))
}
function flagsOf(payload) {
	const flags = payload?.properties?.feature_flags || payload?.event_properties?.feature_flags || payload?.metadata?.feature_flags
	if (!flags) return null
	try { return Object.entries(typeof flags === 'string' ? JSON.parse(flags) : flags) } catch { return null }
}

function drawExplanation(body, row, story) {
	if (!story?.explain) {
		fill(body, h('p', { class: 'note dim' }, row.exposure ? 'Exposures have no receipt: a lookup is not an event of its own.' : 'The client that sent it did not post its receipt. asyncsdk does while it is connected to a dev server; other SDKs have none.'))
		return
	}
	fill(body, h('p', { class: 'note dim' }, 'What ', h('code', {}, 'receipt.explain()'), ' returns in your code. It has no values of the user.'), h('pre', { class: 'code', tabIndex: 0 }, story.explain), copyButton(story.explain))
}
