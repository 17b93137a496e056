// What Live shows instead of a list: the first steps, or which word of the query excludes everything.
import { api } from './api.js'
import { matches, without } from './search.js'
import { copyable, count, h, key, plural } from './ui.js'

export function firstSteps() {
	const { ruleset } = api.health()
	return [h('h2', {}, 'Nothing has arrived yet'),
		h('ol', { class: 'steps' },
			h('li', { class: 'done' }, h('b', {}, 'The server runs'), h('p', {}, `at ${api.url}`, ruleset ? ['; rules from ', h('code', {}, ruleset), ', watched.'] : '.')),
			h('li', { class: api.clients().length ? 'done' : 'now' }, h('b', {}, 'Point your app at it'),
				h('p', {}, 'In the shell that starts your app. Your code stays as it is; any key is accepted.'), copyable(`export ASYNCSDK_DEV_SERVER=${api.url}`),
				h('p', {}, 'or let the server start your app:'), copyable('asyncsdk dev -- uvicorn app:app')),
			h('li', {}, h('b', {}, 'Do something in your app'),
				h('p', {}, 'Each event appears here with what every vendor made of it. No app at hand? ', h('a', { href: '/try' }, 'Send one yourself'), '.'))),
		h('p', { class: 'dim' }, `Kept: ${api.health().kept}.`)]
}
/** The query, and how many events would match without each of its words. */
export function noMatch(rows, query, set) {
	const { tokens } = rows
	const each = tokens.map((t) => {
		const others = tokens.filter((x) => x !== t)
		return [t, rows.rows.filter((row) => row.arrivals.some((a) => matches(others, a))).length]
	}).sort((a, b) => b[1] - a[1])
	const helpful = each.filter(([, n]) => n)
	const intro = tokens.length === 1 ? 'Without it' : helpful.length ? 'Without one of the words' : 'No single word is the reason; without one'
	return [h('h2', {}, 'No event matches'), h('p', {}, h('code', {}, query)),
		h('p', {}, `${plural(rows.rows.length, 'event')} are kept. ${intro}:`),
		h('ul', { class: 'plainlist' }, (helpful.length ? helpful : each).map(([t, n]) => h('li', {}, h('button', { onclick: () => set(without(query, t)) }, h('s', {}, t.text)), ` ${plural(n, 'event')}`))),
		h('p', { class: 'dim' }, 'New events that match appear here. ', key('Esc'), ' in the search box clears it.')]
}
