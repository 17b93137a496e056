// The Python that does the same as a form of Try it.
import { VENDORS } from './ui.js'

const INDENT = '    ', WIDTH = 80
/** A JSON value as a Python literal. */
export function literal(value) {
	if (value === null || value === undefined) return 'None'
	if (value === true) return 'True'
	if (value === false) return 'False'
	if (typeof value === 'number') return String(value)
	if (typeof value === 'string') return JSON.stringify(value)
	if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
	return `{${Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}: ${literal(v)}`).join(', ')}}`
}
const indent = (text) => text.replace(/^/gm, INDENT)
function call(start, args) {
	const given = args.filter(Boolean), line = `${start}(${given.join(', ')})`
	return line.length <= WIDTH ? line : `${start}(\n${given.map((a) => `${indent(a)},\n`).join('')})`
}
/** A user: the id alone, or `User(...)` if more is known of it. */
function userOf(user) {
	const rest = Object.entries(user).filter(([k, v]) => k !== 'user_id' && v !== '' && v != null)
	if (!rest.length) return literal(user.user_id)
	return call('User', [literal(user.user_id), ...rest.map(([k, v]) => `${k}=${literal(v)}`)])
}
const filled = (properties) => (Object.keys(properties || {}).length ? literal(properties) : '')
function destinations(to) {
	const all = Object.keys(VENDORS)
	if (to.length === all.length) return ''
	const some = to.map((v) => `${JSON.stringify(VENDORS[v].name)}: True`)
	return `integrations={${['"All": False', ...some].join(', ')}}`
}

/** `form`: verb, user, name, value, properties and to (the vendors). */
export function snippet({ verb, user, name, value, properties, to }) {
	const u = userOf(user), n = literal(name), to_ = destinations(to), p = filled(properties)
	const imports = u.startsWith('User(') ? 'from asyncsdk import User\n\n' : ''
	const receipt = (...args) => call(`receipt = await client.${verb}`, [...args, to_])
	const code = {
		track: () => receipt(u, n, p), page: () => receipt(u, n, p), screen: () => receipt(u, n, p), group: () => receipt(u, n, p),
		identify: () => receipt(u, p), alias: () => receipt(n, u),
		log_event: () => receipt(u, n, value !== '' && value != null ? literal(value) : p ? 'None' : '', p),
		check_gate: () => `if await client.check_gate(${u}, ${n}):\n${INDENT}...`,
		get_config: () => `config = await client.get_config(${u}, ${n})\nconfig.value  # a dict`,
		get_experiment: () => `experiment = await client.get_experiment(${u}, ${n})\nexperiment.value, experiment.group_name`,
		get_layer: () => `layer = await client.get_layer(${u}, ${n})\nlayer.get("parameter", "fallback")  # logs the exposure of that parameter`,
	}
	return imports + code[verb]()
}
