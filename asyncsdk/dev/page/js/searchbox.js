// The search box: tokens are coloured as they are typed, mistakes are explained below it, keys and values are suggested.
import { h, fill, count } from './ui.js'
import { KEYS, parse, quote } from './search.js'

export function searchBox({ value, onchange, values, placeholder }) {
	const ghost = h('div', { class: 'ghost', 'aria-hidden': 'true' })
	const input = h('input', { id: 'q', type: 'text', value, spellcheck: false, autocomplete: 'off', placeholder, role: 'combobox', 'aria-expanded': 'false', 'aria-controls': 'q-list', 'aria-autocomplete': 'list', 'aria-label': 'Search events', 'aria-describedby': 'q-error' })
	const list = h('ul', { id: 'q-list', role: 'listbox', class: 'suggest', 'aria-label': 'Suggestions', hidden: true })
	const error = h('p', { id: 'q-error', class: 'q-error', hidden: true })
	const clear = h('button', { class: 'icon ghosted', 'aria-label': 'Clear the search', hidden: !value, onclick: () => { set(''); input.focus() } }, '✕')
	const box = h('div', { class: 'search', role: 'search' }, h('span', { class: 'lens', 'aria-hidden': 'true' }), h('div', { class: 'search-text' }, ghost, input), clear, h('kbd', { class: 'slash', 'aria-hidden': 'true' }, '/'), list, error)
	let options = [], at = -1, due

	function paint() {
		const text = input.value, tokens = parse(text)
		let from = 0
		const parts = []
		for (const t of tokens) {
			parts.push(text.slice(from, t.from), h('span', { class: t.error ? 'tok wrong' : t.key ? `tok${t.not ? ' not' : ''}` : '' }, t.text)); from = t.to
		}
		fill(ghost, parts, text.slice(from), '\u200b')
		ghost.style.transform = `translateX(${-input.scrollLeft}px)`
		clear.hidden = !text
		const here = document.activeElement === input ? current() : null, wrong = tokens.find((t) => t.error && !(here && t.from === here.from))
		error.hidden = !wrong; error.textContent = wrong ? wrong.error : ''
		input.setAttribute('aria-invalid', wrong ? 'true' : 'false')
	}
	const current = () => parse(input.value).find((t) => input.selectionStart > t.from && input.selectionStart <= t.to)
	function suggest() {
		const token = current()
		if (token && token.key === null && !token.text.includes('"')) options = Object.keys(KEYS).filter((k) => k.startsWith(token.value.toLowerCase())).map((k) => ({ text: `${token.not ? '-' : ''}${k}:`, hint: KEYS[k], token }))
		else if (!token && !input.value.trim()) options = Object.keys(KEYS).slice(0, 6).map((k) => ({ text: `${k}:`, hint: KEYS[k], token: null }))
		else if (token?.key in KEYS) options = values(token.key).filter(([v]) => v.toLowerCase().includes(token.value.toLowerCase()) && v !== token.value).slice(0, 9).map(([v, n]) => ({ text: `${token.not ? '-' : ''}${token.key}:${quote(v)}`, hint: count(n), token }))
		else options = []
		at = -1; show()
	}
	function show() {
		const open = options.length > 0 && document.activeElement === input
		list.hidden = !open; input.setAttribute('aria-expanded', String(open))
		fill(list, options.map((o, i) => h('li', { id: `q-${i}`, role: 'option', 'aria-selected': String(i === at), onmousedown: (e) => { e.preventDefault(); accept(i) } }, h('b', {}, o.text), h('span', {}, o.hint))))
		input.setAttribute('aria-activedescendant', at >= 0 ? `q-${at}` : '')
	}
	function accept(i) {
		const o = options[i], text = input.value
		const before = o.token ? text.slice(0, o.token.from) : text, after = o.token ? text.slice(o.token.to) : ''
		input.value = before + o.text + (o.text.endsWith(':') ? '' : after || ' ')
		input.setSelectionRange(before.length + o.text.length + (o.text.endsWith(':') ? 0 : 1), before.length + o.text.length + (o.text.endsWith(':') ? 0 : 1))
		suggest(); changed()
	}
	function changed() { paint(); clearTimeout(due); due = setTimeout(() => onchange(input.value.trim()), 120) }
	function set(text) { input.value = text; options = []; show(); paint(); onchange(text) }

	input.addEventListener('input', () => { suggest(); changed() })
	input.addEventListener('scroll', paint)
	input.addEventListener('focus', () => { suggest(); paint() })
	input.addEventListener('blur', () => { list.hidden = true; input.setAttribute('aria-expanded', 'false'); paint() })
	input.addEventListener('keydown', (e) => {
		if (!list.hidden && (e.key === 'ArrowDown' || e.key === 'ArrowUp')) { e.preventDefault(); at = (at + (e.key === 'ArrowDown' ? 1 : -1) + options.length) % options.length; show() }
		else if (!list.hidden && (e.key === 'Enter' || (e.key === 'Tab' && at >= 0)) && options.length && at >= 0) { e.preventDefault(); accept(at) }
		else if (e.key === 'Enter') { list.hidden = true; box.dispatchEvent(new CustomEvent('go', { bubbles: true })) }
		else if (e.key === 'Escape') { e.stopPropagation(); if (!list.hidden) { options = []; show() } else if (input.value) set(''); else input.blur() }
	})
	paint()
	return { box, input, set, get value() { return input.value.trim() } }
}
