// JSON: a parser that says where it stopped, and a printer with colours.
import { h } from './ui.js'

export class JsonError extends Error {
	constructor(text, at) {
		super(text)
		this.at = at
	}
}
/** Parse, and remember where each value begins: `places['rules.0.passPercentage']` is an offset. */
export function parseAt(text) {
	let i = 0
	const places = {}
	const fail = (what, at = i) => { throw new JsonError(what, at) }
	const space = () => { while (/\s/.test(text[i] || '')) i++ }
	function value(path) {
		space()
		places[path] = i
		const c = text[i]
		if (c === '{') return members(path, '}', true)
		if (c === '[') return members(path, ']', false)
		if (c === '"') return string()
		const m = /^(?:-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/.exec(text.slice(i, i + 40))
		if (!m) fail(complaint(c, text.slice(i)))
		i += m[0].length
		return JSON.parse(m[0])
	}
	function string() {
		const from = i++
		while (text[i] !== '"') {
			if (i >= text.length || text[i] === '\n') fail('This text has no closing quote', from)
			i += text[i] === '\\' ? 2 : 1
		}
		i++
		try { return JSON.parse(text.slice(from, i)) } catch { return fail('This text has an invalid escape', from) }
	}
	function members(path, end, keyed) {
		const out = keyed ? {} : [], from = i++
		space()
		if (text[i] === end) { i++; return out }
		for (let n = 0; ; n++) {
			space()
			let key = n
			if (keyed) {
				if (text[i] !== '"') fail(text[i] === end ? 'There is a comma too many before this' : 'A name in double quotes is expected here')
				key = string()
				space()
				if (text[i] !== ':') fail(`A colon is missing after "${key}"`)
				i++
			}
			const here = value(path ? `${path}.${key}` : String(key))
			// `__proto__` is a name like any other here.
			if (keyed) Object.defineProperty(out, key, { value: here, enumerable: true, writable: true, configurable: true })
			else out.push(here)
			space()
			if (text[i] === ',') { i++; continue }
			if (text[i] === end) { i++; return out }
			if (i >= text.length) fail(`The ${keyed ? 'object' : 'list'} that begins here is never closed`, from)
			fail('A comma is missing before this')
		}
	}
	const parsed = value('')
	space()
	if (i < text.length) fail('Nothing may follow the end of the value')
	return { value: parsed, places }
}
function complaint(c, rest) {
	if (c === undefined) return 'The text ends where a value should be'
	if (c === "'") return 'Text is in double quotes in JSON'
	if (/[\]}]/.test(c)) return 'A value is missing; is there a comma too many?'
	return `“${/^\w+/.exec(rest)?.[0] || c}” is not a JSON value`
}

/** Print a value as elements; `changed(path)` marks a member. */
export function pretty(value, depth = 0, changed = () => false, path = '') {
	if (value === null) return h('span', { class: 'j-n' }, 'null')
	if (typeof value !== 'object') return h('span', { class: typeof value === 'string' ? 'j-s' : 'j-n' }, JSON.stringify(value))
	const list = Array.isArray(value), entries = Object.entries(value)
	if (!entries.length) return list ? '[]' : '{}'
	const isShort = list && entries.every(([, v]) => typeof v !== 'object') && JSON.stringify(value).length < 60
	if (isShort) return h('span', {}, '[', entries.map(([, v], i) => [i ? ', ' : '', pretty(v)]), ']')
	const pad = '  '.repeat(depth + 1)
	const member = ([k, v], i) => {
		const here = path ? `${path}.${k}` : k, mark = changed(here)
		const name = list ? '' : [h('span', { class: 'j-k' }, JSON.stringify(k)), ': ']
		const comma = i < entries.length - 1 ? ',' : ''
		return h('span', { class: mark ? 'j-changed' : '', title: mark ? 'Middleware changed this' : null }, pad, name, pretty(v, depth + 1, changed, here), comma, '\n')
	}
	return h('span', {}, list ? '[' : '{', '\n', entries.map(member), '  '.repeat(depth), list ? ']' : '}')
}
/** JSON with two spaces, lists of plain values on one line. */
export const write = (x) => JSON.stringify(x, null, 2).replace(/\[\n\s+((?:"(?:[^"\\\n]|\\.)*"|-?[\d.]+)(?:,\n\s+(?:"(?:[^"\\\n]|\\.)*"|-?[\d.]+))*)\n\s+\]/g, (_, inner) => `[${inner.replace(/\n\s+/g, ' ')}]`)
export function lineOf(text, at) {
	const before = text.slice(0, at).split('\n')
	return { line: before.length, column: before.at(-1).length + 1 }
}
