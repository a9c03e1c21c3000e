// Shows the row of the table of intervals that the pointer is over in a plot over time.
const rows = [...document.querySelectorAll('#intervals tbody tr')];
const heads = [...document.querySelectorAll('#intervals th')].map(head => head.textContent);
const plots = [...document.querySelectorAll('svg[data-end]')];
const hint = document.body.appendChild(document.createElement('div'));
hint.id = 'hint';
const cursors = plots.map(plot => {
  const line = plot.appendChild(document.createElementNS(plot.namespaceURI, 'line'));
  line.setAttribute('class', 'cursor');
  line.setAttribute('y2', '100%');
  return line;
});
const hide = () => [hint, ...cursors].forEach(each => each.style.display = 'none');
hide();
for (const plot of plots) {
  plot.addEventListener('pointerleave', hide);
  plot.addEventListener('pointermove', event => {
    const box = plot.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    const row = rows.findLast(each => share * plot.dataset.end >= parseFloat(each.cells[0].textContent));
    if (!row || share > 1) return hide();
    hint.textContent = [...row.cells].map((cell, at) => heads[at] + ': ' + cell.textContent).join('\n');
    cursors.forEach(line => { line.setAttribute('x1', share * 100 + '%'); line.setAttribute('x2', share * 100 + '%'); });
    [hint, ...cursors].forEach(each => each.style.display = 'block');
    const left = event.clientX + 16 + hint.offsetWidth > innerWidth ? event.clientX - 16 - hint.offsetWidth : event.clientX + 16;
    hint.style.left = left + 'px';
    hint.style.top = Math.max(0, Math.min(event.clientY, innerHeight - hint.offsetHeight - 4)) + 'px';
  });
}
