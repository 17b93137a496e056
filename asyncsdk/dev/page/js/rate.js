// Accepted and refused events per second: the chart and the numbers beside it.
import { count, fill, h } from './ui.js'

const BARS = 60, WIDTH = 180, HEIGHT = 26, BASE = 18
const KEEP_SECONDS = 2400
const SCALES = { 60: 'last 60 s', 1800: 'last 30 min' }

/** Events per second, by the second of their arrival. */
export class Tally {
	constructor() { this.perSecond = new Map() }
	add(event) {
		const second = Math.floor(event.at / 1000)
		let cell = this.perSecond.get(second)
		if (!cell) {
			this.perSecond.set(second, cell = [0, 0])
			if (this.perSecond.size > KEEP_SECONDS) this.perSecond.delete(this.perSecond.keys().next().value)
		}
		cell[event.verdict === 'accepted' || event.verdict === 'duplicate' ? 0 : 1]++
	}
	clear() { this.perSecond.clear() }
	/** Return `[accepted, refused]` for each of the bars that end now, over `seconds` seconds. */
	bars(seconds) {
		const now = Math.floor(Date.now() / 1000), step = seconds / BARS
		return Array.from({ length: BARS }, (_, bar) => {
			let accepted = 0, refused = 0
			for (let s = 0; s < step; s++) {
				const cell = this.perSecond.get(now - (BARS - 1 - bar) * step - s)
				if (cell) { accepted += cell[0]; refused += cell[1] }
			}
			return [accepted, refused]
		})
	}
	last() { return this.perSecond.get(Math.floor(Date.now() / 1000) - 1) || [0, 0] }
}

export function chart(tally) {
	let scale = 60
	const canvas = h('canvas', { width: WIDTH, height: HEIGHT, 'aria-hidden': 'true' }), words = h('span', { class: 'rate' })
	const el = h('button', { class: 'spark', onclick: () => { scale = scale === 60 ? 1800 : 60; draw() } }, canvas, words)
	let inks = null
	const colours = () => {
		const theme = `${document.documentElement.dataset.theme} ${matchMedia('(prefers-color-scheme: dark)').matches}`
		if (inks?.theme !== theme) {
			const ink = (name) => { canvas.style.color = `var(${name})`; return getComputedStyle(canvas).color }
			inks = { theme, line: ink('--line-2'), up: ink('--dim'), down: ink('--bad') }
		}
		return inks
	}
	function draw() {
		const data = tally.bars(scale), most = Math.max(6, ...data.map(([a, r]) => a + r)), ratio = devicePixelRatio || 1, ink = colours()
		if (canvas.width !== WIDTH * ratio) { canvas.width = WIDTH * ratio; canvas.height = HEIGHT * ratio }
		const g = canvas.getContext('2d')
		g.setTransform(ratio, 0, 0, ratio, 0, 0)
		g.clearRect(0, 0, WIDTH, HEIGHT)
		g.fillStyle = ink.line
		g.fillRect(0, BASE, WIDTH, 1)
		data.forEach(([accepted, refused], i) => {
			const up = Math.sqrt(accepted / most) * BASE
			g.fillStyle = ink.up
			if (up) g.fillRect(i * 3, BASE - up, 2, up)
			g.fillStyle = ink.down
			if (refused) g.fillRect(i * 3, BASE + 1, 2, Math.max(2, Math.sqrt(refused / most) * 8))
		})
		const [accepted, refused] = data.reduce(([a, r], [x, y]) => [a + x, r + y], [0, 0])
		fill(words, h('b', {}, `${count(tally.last()[0])}/s`), h('span', { class: refused ? 't-bad' : '' }, `${count(refused)} refused`), h('small', {}, SCALES[scale]),
			h('span', { class: 'sr' }, ` Accepted ${count(accepted)}. Press for the other scale.`))
	}
	return { el, draw }
}
