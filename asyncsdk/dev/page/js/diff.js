// A diff by lines, drawn from its first change: what is equal on both sides is folded.
import { h, plural } from './ui.js'

const CONTEXT = 3

/** Return `[sign, line]` pairs, by the longest common subsequence; equal lines at both ends are set aside first. */
export function diff(a, b) {
	const A = a.split('\n'), B = b.split('\n')
	let head = 0, tail = 0
	while (head < A.length && head < B.length && A[head] === B[head]) head++
	while (tail < A.length - head && tail < B.length - head && A.at(-1 - tail) === B.at(-1 - tail)) tail++
	const same = (lines) => lines.map((line) => [' ', line])
	const changed = middle(A.slice(head, A.length - tail), B.slice(head, B.length - tail))
	return [...same(A.slice(0, head)), ...changed, ...same(tail ? A.slice(-tail) : [])]
}
function middle(A, B) {
	const L = Array.from({ length: A.length + 1 }, () => new Uint16Array(B.length + 1))
	for (let i = A.length - 1; i >= 0; i--) {
		for (let j = B.length - 1; j >= 0; j--) L[i][j] = A[i] === B[j] ? L[i + 1][j + 1] + 1 : Math.max(L[i + 1][j], L[i][j + 1])
	}
	const out = []
	for (let i = 0, j = 0; i < A.length || j < B.length;) {
		if (i < A.length && j < B.length && A[i] === B[j]) { out.push([' ', A[i]]); i++; j++ }
		else if (j < B.length && (i === A.length || L[i][j + 1] > L[i + 1][j])) out.push(['+', B[j++]])
		else out.push(['-', A[i++]])
	}
	return out
}

const SIGNS = { '+': ['plus', 'added'], '-': ['minus', 'removed'] }
const drawLine = ([s, text]) => h('span', { class: SIGNS[s]?.[0] || '' }, SIGNS[s] ? h('span', { class: 'sr' }, `${SIGNS[s][1]}: `) : '', `${s} ${text}\n`)

/** Draw a diff; null if both texts are equal. */
export function drawDiff(a, b) {
	const lines = diff(a, b)
	if (!lines.some(([s]) => s !== ' ')) return null
	const near = lines.map((_, i) => lines.slice(Math.max(0, i - CONTEXT), i + CONTEXT + 1).some(([s]) => s !== ' '))
	const out = []
	for (let i = 0; i < lines.length;) {
		if (near[i]) { out.push(drawLine(lines[i++])); continue }
		let end = i
		while (end < lines.length && !near[end]) end++
		out.push(fold(lines.slice(i, end)))
		i = end
	}
	return h('pre', { class: 'code' }, out)
}
function fold(lines) {
	const button = h('button', { class: 'fold', onclick: () => button.replaceWith(...lines.map(drawLine)) }, `⋯ ${plural(lines.length, 'equal line')}`)
	return button
}
