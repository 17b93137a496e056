// What Live shows instead of a list: the first steps, or which word of the query excludes everything.
import { api } from './api.js'
import { matches, without } from './search.js'
import { copyable, fill, h, key, plural } from './ui.js'

const COUNT_AT_ONCE = 1000

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
/** The query, and how many events would match without each of its words: counted a few milliseconds at a time. */
export async function noMatch(el, rows, query, set) {
	const all = rows.rows, each = rows.tokens.map((token) => ({ token, n: 0, others: rows.tokens.filter((x) => x !== token) }))
	draw(el, each, all.length, query, set)
	for (let i = 0; i < all.length; i += COUNT_AT_ONCE) {
		await new Promise((resume) => setTimeout(resume, 4))
		if (el.hidden || rows.query !== query) return
		for (const row of all.slice(i, i + COUNT_AT_ONCE)) {
			for (const entry of each) if (row.arrivals.some((a) => matches(entry.others, a))) entry.n++
		}
	}
	draw(el, each.sort((a, b) => b.n - a.n), all.length, query, set)
}
function draw(el, each, total, query, set) {
	const helpful = each.filter(({ n }) => n), shown = helpful.length ? helpful : each
	const intro = each.length === 1 ? 'Without it' : helpful.length ? 'Without one of the words' : 'No single word is the reason; without one'
	fill(el, h('h2', {}, 'No event matches'), h('p', {}, h('code', {}, query)),
		h('p', {}, `${plural(total, 'event')} are kept. ${intro}:`),
		h('ul', { class: 'plainlist' }, shown.map(({ token, n }) => h('li', {}, h('button', { onclick: () => set(without(query, token)) }, h('s', {}, token.text)), ` ${plural(n, 'event')}`))),
		h('p', { class: 'dim' }, 'New events that match appear here. ', key('Esc'), ' in the search box clears it.'))
}
