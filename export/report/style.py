"""How the report looks. Colours are variables, so that the plots follow light, dark and paper."""

STYLE = """
:root{--paper:#fff;--ink:#1c2127;--quiet:#5b6570;--line:#d9dee4;--card:#f5f7f9;--band:#d5efdd;--good:#15703a;
--bad:#b3261e;--winner:#fff6d6}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14181d;--ink:#e4e8ec;--quiet:#9aa5b1;--line:#343c46;
--card:#1d232a;--band:#1d3d2a;--good:#6fd08f;--bad:#ff9a90;--winner:#3a3213}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:82rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.9rem;line-height:1.2;margin:.5rem 0}
h2{font-size:1.3rem;margin:2.5rem 0 .5rem;padding-top:.6rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.5rem 0 .3rem}
h1,h2,code{overflow-wrap:anywhere}
p,ul{max-width:75ch}
small{display:block;color:var(--quiet);font-size:.82em;white-space:nowrap}
code,pre{font:.88em ui-monospace,monospace}
pre{background:var(--card);padding:.7rem 1rem;overflow-x:auto}
summary{cursor:pointer}
.reason{font-size:1.1rem}
.quiet{color:var(--quiet);font-size:.9rem}
.note{border-left:4px solid var(--bad);padding-left:.8rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:.7rem;margin:1.2rem 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem}
.tile span{display:block;color:var(--quiet);font-size:.85rem}
.tile b{font-size:1.35rem}
.tile small{white-space:normal}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));gap:1rem}
.plot{margin:0}
.plot svg{width:100%;height:auto;display:block}
.plot text{paint-order:stroke;stroke:var(--paper);stroke-width:2px;stroke-linejoin:round}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;padding:0;margin:.5rem 0;max-width:none;
font-size:.9rem}
.legend li{display:flex;align-items:center;gap:.35rem}
.legend i{width:1rem;height:1rem;border-radius:.2rem;display:inline-block}
.legend .ring{border:2px solid var(--ink);border-radius:50%}
.legend .step{height:0;border-top:2px solid var(--ink);opacity:.55}
.legend .dash{height:2px;width:1.6rem;border-radius:0;background:repeating-linear-gradient(90deg,#7d8590 0 5px,
transparent 5px 9px)}
.legend .band{background:var(--band)}
.mark{width:.9rem;height:.9rem;vertical-align:-.1rem;margin-right:.35rem}
wbr{display:none}
.scroll{overflow-x:auto;position:relative}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .55rem;text-align:right;vertical-align:top;border-bottom:1px solid var(--line)}
thead th{vertical-align:bottom;font-weight:600;color:var(--quiet);min-width:4.5rem}
thead .groups th{text-align:center;border-bottom:0;font-weight:400;white-space:nowrap}
th.name,.why,thead th.name,.examples th{text-align:left}
.examples .why{min-width:12rem}
th.name{font-weight:600;white-space:nowrap;background:var(--paper);position:sticky;left:0;z-index:1}
thead tr:last-child th:first-child{min-width:0}
.ladder thead tr:last-child th:nth-child(-n+3){text-align:left}
thead th.long{min-width:8rem}
.why{min-width:24rem;max-width:40rem;font-weight:400}
.wide{text-align:left}
.wide div{max-width:min(46rem,80vw)}
.verdict{text-align:left;white-space:nowrap}
.winner td,.winner th.name{background:var(--winner)}
.absent td,.absent th.name{color:var(--quiet)}
.more{color:var(--good)}
.less{color:var(--bad)}
.chosen{font-weight:700}
.pill{display:inline-block;border:1px solid;border-radius:1rem;padding:0 .5rem;font-size:.78rem;font-weight:600;
white-space:nowrap}
.pill.ships{background:var(--good);border-color:var(--good);color:var(--paper)}
.pill.may-ship,.pill.won{color:var(--good)}
.pill.refused,.pill.failed{color:var(--bad)}
.pill.impossible,.pill.not-judged,.pill.front{color:var(--quiet)}
.facts th{text-align:left;color:var(--quiet);font-weight:400;white-space:nowrap}
.facts td{text-align:left;overflow-wrap:anywhere}
.facts small{display:inline}
@media (max-width:40rem){main{padding:.7rem .7rem 3rem}h1{font-size:1.5rem}.reason{font-size:1rem}
.tiles{grid-template-columns:1fr 1fr}.facts th{white-space:normal;width:6.5rem}
wbr{display:inline}th.name{white-space:normal;min-width:7rem;max-width:8.5rem;overflow-wrap:break-word}}
@media print{@page{size:A4 landscape;margin:1cm}:root{font-size:11px}body{font-size:1rem}
main{max-width:none;padding:0}.scroll{overflow:visible}.plots{grid-template-columns:1fr 1fr;max-width:20cm}
.ladder{font-size:.55rem}.ladder th,.ladder td{padding:1pt 2pt}.ladder .pill{font-size:.5rem;padding:0 .2rem}
.ladder thead th{min-width:0}.ladder .why{min-width:9rem}th.name{position:static}
tr,figure,.tile,.facts,pre{break-inside:avoid}h2,h3,pre{break-after:avoid}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
""".strip()
