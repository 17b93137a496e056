// Helpers without state: elements, formats, vendor marks, small controls.
export const VENDORS = {
	statsig: { name: 'Statsig', letter: 'S' },
	rudderstack: { name: 'RudderStack', letter: 'R' },
	amplitude: { name: 'Amplitude', letter: 'A' },
}
export const KINDS = { gate: 'Gates', config: 'Dynamic configs', experiment: 'Experiments', layer: 'Layers', parameter_store: 'Parameter stores' }
const PROPERTIES = new Set(['list', 'form'])

/** Build an element. A prop becomes a property if the element has it, else an attribute; `on...` adds a listener. */
export function h(tag, props, ...children) {
	const el = document.createElement(tag)
	if (tag === 'button') el.type = 'button'
	for (const [key, value] of Object.entries(props || {})) {
		if (value == null || value === false) continue
		if (key.startsWith('on')) el.addEventListener(key.slice(2), value)
		else if (key === 'class') el.className = value
		else if (key === 'style') for (const [name, x] of Object.entries(value)) el.style.setProperty(name, x)
		else if (key === 'dataset') Object.assign(el.dataset, value)
		else if (key in el && !key.startsWith('aria') && !PROPERTIES.has(key)) el[key] = value
		else el.setAttribute(key, value === true ? '' : value)
	}
	append(el, children)
	return el
}
function append(el, children) {
	for (const child of children.flat(9)) {
		if (child == null || child === false) continue
		el.append(child.nodeType ? child : String(child))
	}
}
export const dim = (...children) => h('span', { class: 'dim' }, ...children)
export function fill(el, ...children) {
	el.replaceChildren()
	append(el, children)
	return el
}
export const $ = (selector, root = document) => root.querySelector(selector)
/** Replace children, but keep the focus on the element with the same id. */
export function refill(el, ...children) {
	const focused = el.contains(document.activeElement) ? document.activeElement.id : ''
	fill(el, ...children)
	if (focused) document.getElementById(focused)?.focus({ preventScroll: true })
}
export const isNarrow = () => matchMedia('(max-width: 640px)').matches

// --- formats --------------------------------------------------------------------------------------------------------
const two = (n) => String(n).padStart(2, '0')
const day = (d) => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`
/** The local time of day; with the date in front if that is not today's. */
export function clock(ms, millis = true) {
	const d = new Date(ms)
	const text = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`
	const time = millis ? `${text}.${String(d.getMilliseconds()).padStart(3, '0')}` : text
	const date = day(d)
	return date === day(new Date()) ? time : `${date.slice(5)} ${text}`
}
export const iso = (ms) => new Date(ms).toISOString()
export function ago(ms, now = Date.now()) {
	const s = Math.max(0, Math.round((now - ms) / 1000))
	if (s < 1) return 'now'
	if (s < 60) return `${s}s`
	if (s < 3600) return `${Math.floor(s / 60)}m`
	return s < 86400 ? `${Math.floor(s / 3600)}h` : `${Math.floor(s / 86400)}d`
}
export const since = (ms) => (ago(ms) === 'now' ? 'now' : `${ago(ms)} ago`)
export function duration(ms) {
	if (ms < 1000) return `${Math.round(ms)} ms`
	const s = ms / 1000
	return s < 60 ? `${s.toFixed(1)} s` : `${Math.floor(s / 60)}m ${Math.round(s % 60)}s`
}
const numbers = new Intl.NumberFormat('en-US')
export const count = (n) => numbers.format(n)
export function bytes(n) {
	if (n < 1000) return `${n} B`
	return n < 1e6 ? `${(n / 1000).toFixed(n < 1e4 ? 1 : 0)} kB` : `${(n / 1e6).toFixed(1)} MB`
}
export const plural = (n, one, many = one + 's') => `${count(n)} ${n === 1 ? one : many}`
export const percent = (x) => `${+(x * 100).toFixed(2)} %`

// --- vendors and outcomes -------------------------------------------------------------------------------------------
export function mark(vendor, { hollow = false, label = true } = {}) {
	const known = VENDORS[vendor] || { name: vendor, letter: '?' }
	const spoken = label ? { role: 'img', 'aria-label': known.name } : { 'aria-hidden': 'true' }
	return h('span', { class: `vm vm-${vendor}${hollow ? ' hollow' : ''}`, title: known.name, ...spoken }, known.letter)
}
const SIGNS = { accepted: '✓', delivered: '✓', duplicate: '=', rejected: '✕', lost: '↻', dropped: '✕', skipped: '–', pending: '…' }
const TONES = { rejected: 'bad', dropped: 'bad', lost: 'warn', retried: 'warn', pending: 'warn', accepted: 'ok', delivered: 'ok' }
export const tone = (verdict) => TONES[verdict] || 'quiet'
export const sign = (verdict) => h('i', { class: `sign t-${tone(verdict)}`, 'aria-hidden': 'true' }, SIGNS[verdict] || '·')

// --- controls -------------------------------------------------------------------------------------------------------
/** Copy text to the clipboard, also where the page has no secure origin; return whether it worked. */
export async function copy(text) {
	try {
		await navigator.clipboard.writeText(text)
		return true
	} catch {
		// Only secure origins have a clipboard, and a page at another host than 127.0.0.1 is none.
	}
	const area = h('textarea', { class: 'sr', value: text, readOnly: true, 'aria-hidden': 'true' })
	const focused = document.activeElement
	document.body.append(area)
	area.select()
	const done = document.execCommand('copy')
	area.remove()
	focused?.focus?.({ preventScroll: true })
	return done
}
export function copyButton(text, label = 'Copy', props = {}) {
	const button = h('button', { class: 'small', ...props, onclick: async () => {
		const done = await copy(typeof text === 'function' ? text() : text)
		button.textContent = done ? 'Copied' : 'Select and press Ctrl C'
		say(done ? 'Copied' : 'This browser does not allow it here')
		setTimeout(() => { button.textContent = label }, 1500)
	} }, label)
	return button
}
export const copyable = (text) => h('div', { class: 'paste' }, h('code', { tabIndex: 0 }, text), copyButton(text))
export const key = (k) => h('kbd', {}, k)
let groups = 0
export function segmented(label, options, value, onchange) {
	const name = `seg-${++groups}`
	return h('fieldset', { class: 'seg' }, h('legend', { class: 'sr' }, label), options.map(([v, text, title]) =>
		h('label', { title }, h('input', { type: 'radio', name, value: v, checked: v === value, onchange: () => onchange(v) }), h('span', {}, text))))
}
export function toggle(label, checked, onchange, { text = false, id } = {}) {
	const input = h('input', { type: 'checkbox', id, role: 'switch', checked, 'aria-label': text ? null : label, onchange: (e) => onchange(e.target.checked) })
	return h('label', { class: 'switch' }, input, h('span', { class: 'track', 'aria-hidden': 'true' }), text && h('span', {}, label))
}
export function select(options, value, onchange, props = {}) {
	return h('select', { ...props, onchange: (e) => onchange(e.target.value) }, options.map((o) => {
		const [v, text] = Array.isArray(o) ? o : [o, o]
		return h('option', { value: v, selected: v === value }, text)
	}))
}
export function labelled(label, control) {
	control.setAttribute('aria-label', label)
	return control
}
/** A region that scrolls sideways, reachable by keyboard. */
export const scroller = (label, ...children) => h('div', { class: 'scrollx', tabIndex: 0, role: 'region', 'aria-label': label }, ...children)
export const gone = (text) => h('span', { class: 'sr' }, text)
let timer
export function toast(text) {
	const el = $('#toast')
	el.textContent = text
	el.hidden = false
	clearTimeout(timer)
	timer = setTimeout(() => { el.hidden = true }, 3500)
}
export function say(text) { $('#say').textContent = text }
/** Run a call to the server; a failure becomes a toast, and undefined. */
export async function attempt(call, done = '') {
	try {
		const result = await call()
		if (done) toast(done)
		return result
	} catch (error) {
		toast(error.message)
		return undefined
	}
}
