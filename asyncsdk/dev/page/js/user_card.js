// The editor of one user: the fields that rules look at most, and the others as JSON.
import { JsonError, lineOf, parseAt } from './json.js'
import { h, isNarrow } from './ui.js'

const FIELDS = [['email', 'email'], ['country', 'country'], ['app_version', 'app_version'], ['ip', 'ip'], ['locale', 'locale']]
const PLAIN = ['user_id', ...FIELDS.map(([k]) => k)]
/** Fields of a user that hold objects, and what is in them. */
const MORE = ['custom', 'custom_ids', 'private_attributes', 'anonymous_id', 'device_id', 'user_agent', 'environment']

/**
 * Return the card. `side`: "a" or "b". `user`: its fields. `onchange(user)`: called after each valid change.
 * `head`: elements for the first line; `foot`: for the last.
 */
export function userCard({ side, user, onchange, head, foot }) {
	let current = { ...user }
	const set = (k, v) => {
		current = { ...current, [k]: v }
		if (v === '' && k !== 'user_id') delete current[k]
		onchange(current)
	}
	const field = ([k, label]) => h('label', { class: 'row' }, h('span', {}, label), h('input', { type: 'text', id: `${side}-${k}`, value: current[k] ?? '', spellcheck: false, autocomplete: 'off', oninput: (e) => set(k, e.target.value) }))
	const more = Object.fromEntries(Object.entries(current).filter(([k]) => !PLAIN.includes(k)))
	const error = h('p', { class: 'q-error', id: `${side}-error`, role: 'alert', hidden: true })
	const area = h('textarea', { rows: 4, class: 'code', id: `${side}-more`, spellcheck: false, 'aria-label': 'More fields as JSON', 'aria-describedby': `${side}-error`, placeholder: '{"custom": {"plan": "pro"}}', value: Object.keys(more).length ? JSON.stringify(more, null, 2) : '', oninput: () => {
		const [extra, problem] = readMore(area.value)
		error.hidden = !problem
		error.textContent = problem
		area.setAttribute('aria-invalid', String(!!problem))
		if (problem) return
		current = { ...Object.fromEntries(Object.entries(current).filter(([k]) => PLAIN.includes(k))), ...extra }
		onchange(current)
	} })
	const summary = [user.country, user.app_version && `app ${user.app_version}`, user.email].filter(Boolean).join(' · ')
	return h('section', { class: `user-card ${side}`, 'aria-label': `User ${side.toUpperCase()}` }, head,
		h('details', { class: 'attrs-box', open: !isNarrow() }, h('summary', {}, summary || 'attributes'),
			h('div', { class: 'attrs' }, field(['user_id', 'user_id']), FIELDS.filter(([k], i) => i < 3 || current[k]).map(field),
				h('details', { open: Object.keys(more).length > 0 }, h('summary', {}, 'custom, custom_ids, private'), area, error))), foot)
}
function readMore(text) {
	if (!text.trim()) return [{}, '']
	try {
		const { value } = parseAt(text)
		if (value === null || typeof value !== 'object' || Array.isArray(value)) return [{}, 'An object is expected: {"custom": {...}}']
		const wrong = Object.keys(value).find((k) => !MORE.includes(k) && !PLAIN.includes(k))
		return wrong ? [{}, `A user has no “${wrong}”; put it into "custom"`] : [value, '']
	} catch (e) {
		if (!(e instanceof JsonError)) throw e
		const at = lineOf(text, e.at)
		return [{}, `Line ${at.line}, column ${at.column}. ${e.message}`]
	}
}
