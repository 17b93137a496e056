// Parts that several views share: a value, the line of buckets with the user's place on it, the reason tree, a histogram.
import { h, percent, plural } from './ui.js'

const isGate = (r) => r.kind === 'gate' || typeof r.value === 'boolean'
export const valueWord = (r) => (isGate(r) ? (r.value ? 'open' : 'closed') : r.group || (r.rule === 'default' || !r.rule ? 'default' : r.rule))
export const gateValue = (value) => h('span', { class: `val v-${value ? 'open' : 'closed'}` }, value ? 'open' : 'closed')
export function value(r) {
	if (isGate(r)) return gateValue(r.value)
	const text = JSON.stringify(r.value)
	return h('span', { class: 'val json', title: text }, r.group && h('b', {}, r.group), ' ', h('code', {}, text.slice(1, -1).replaceAll('":', ': ').replaceAll('"', '').replaceAll(',', ', ')))
}

const partClass = (label, i) => (label === 'pass' ? 'pass' : label === 'fail' ? 'fail' : `g${i % 4}`)
/** Draw shares of the buckets side by side: `parts` are `{ from, to, label }`, from 0 to 1. */
export function shareBar(parts, wide = false) {
	let end = 0
	const bars = parts.map((p, i) => {
		const width = p.to - (p.from ?? end)
		end = p.to
		return h('i', { class: `bp bp-${partClass(p.label, i)}`, style: { width: `${width * 100}%` } }, wide && width > 0.16 ? `${p.label} ${percent(width)}` : '')
	})
	return h('span', { class: 'bparts' }, bars)
}
/**
 * Draw one or two places on a line from bucket 0 to the last. Two users share a line if they met the same rule.
 * `places`: results with `who` and `side`.
 */
export function line(places, { wide = false } = {}) {
	const there = places.filter((p) => p?.place)
	if (!there.length) return h('span', { class: 'sr' }, 'no bucket')
	const borders = (p) => JSON.stringify(p.place.parts.map((x) => x.to))
	const isShared = there.length < 2 || borders(there[0]) === borders(there[1])
	return h('span', { class: 'blines' }, isShared ? drawLine(there, wide) : there.map((p) => drawLine([p], wide)))
}
function drawLine(list, wide) {
	const { parts, at } = list[0].place
	const said = list.map((p) => `${p.who ? `${p.who}: ` : ''}bucket ${p.place.bucket} of ${p.place.of}`).join('; ')
	const label = `${said}; ${parts.map((p) => `${p.label} up to ${percent(p.to)}`).join(', ')}`
	return h('span', { class: `bline${wide ? ' wide' : ''}`, role: 'img', 'aria-label': label },
		shareBar(parts, wide),
		list.map((p) => h('i', { class: `bmark ${p.side || 'a'}`, style: { left: `${p.place.at * 100}%` } })),
		wide && h('span', { class: `bsay${at > 0.8 ? ' flip' : ''}`, style: { left: `${at * 100}%` } }, percent(at)))
}
export function placeText(r) {
	if (!r?.place) return ''
	const { at, parts } = r.place
	return parts[1]?.label === 'fail' ? `${percent(at)} ${at < parts[0].to ? '<' : '≥'} ${percent(parts[0].to)}` : percent(at)
}

const code = (v) => h('code', {}, v === null || v === undefined ? 'nothing' : typeof v === 'string' ? v || '""' : JSON.stringify(v))
const targets = (t) => (Array.isArray(t) ? t.map((x, i) => [i ? ', ' : '', code(x)]) : code(t))
const SUBJECTS = { unit_id: 'user id', current_time: 'the time', environment_field: 'environment' }
function words(s) {
	switch (s.t) {
		case 'note': return s.text || s.label
		case 'rule': return ['Rule ', h('b', {}, s.label), s.group && s.group !== s.label ? ` (${s.group})` : '', s.via ? [': experiment ', h('b', {}, s.via), ' decides'] : '']
		case 'gate': return ['Gate ', h('b', {}, s.name || s.label), s.wants === false ? ' is closed' : ' is open']
		case 'bucket': return [`Bucket ${s.at} of ${s.of}: `, s.holds ? 'within' : 'outside', ` the ${s.pass} % that pass`]
		default:
	}
	if (!s.subject) return s.text || s.label
	if (s.of) return ['Bucket ', code(s.value), ` of ${s.of} ${s.op} `, targets(s.target)]
	return [SUBJECTS[s.subject] || s.subject, ' ', s.op, ' ', targets(s.target), s.private ? h('span', { class: 'has' }, ' the user’s value is private') : h('span', { class: 'has' }, ' the user has ', code(s.value))]
}
const STEP = { yes: ['✓', 'holds'], no: ['✕', 'does not hold'], half: ['◐', 'matched, did not pass'] }
export function tree(steps, depth = 0) {
	return h('ul', { class: depth ? '' : 'tree' }, (steps || []).map((s, i) => {
		const state = s.holds && s.passes === false ? 'half' : s.holds ? 'yes' : 'no', [mark, label] = STEP[state]
		const decides = s.t === 'rule' && s.holds && i === steps.length - 1
		return h('li', { class: `pf ${state}` },
			h('span', { class: 'pfm', 'aria-label': label, role: 'img' }, mark),
			h('span', { class: 'pft' }, words(s), decides ? h('em', {}, state === 'half' ? 'decides: outside its percentage' : 'decides') : null),
			s.steps?.length ? tree(s.steps, depth + 1) : null)
	}))
}
/** `groups`: pairs of a label and a number of users. */
export function histogram(groups, total) {
	const list = [...groups].sort((a, b) => b[1] - a[1])
	return h('div', { class: 'hist', role: 'img', 'aria-label': list.map(([k, n]) => `${k}: ${n} of ${total}`).join(', ') },
		list.map(([k, n]) => h('div', {}, h('span', {}, k), h('i', { class: 'hbar' }, h('i', { style: { width: `${(n / total) * 100}%` } })), h('span', { class: 'num' }, plural(n, 'user')), h('span', { class: 'num dim' }, percent(n / total)))))
}
