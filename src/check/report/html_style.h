// The page's look: plain type, light or dark as the reader's system is, colours that say one thing
// each (yellow: changed, green: new, red: broken), and never colour alone.
#pragma once

#include <string_view>

namespace verso::check::report {

inline constexpr std::string_view html_style = R"css(
:root { color-scheme: light dark; --paper: #fdfcf9; --ink: #1d1f21; --dim: #6c6f73; --line: #dedbd2;
  --faint: #b4b1a8; --head: #f3f0e8; --mark: #ffe69a; --new: #d8efd3; --gone: #eee9e0;
  --bad: #b3261e; --bad-paper: #fbe3e0; --danger: #9a5b00; --danger-paper: #fdefd8;
  --good: #2c6e3f; --link: #28527a; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #17181a; --ink: #e4e2dc; --dim: #92959a; --line: #34363a; --faint: #5b5e63;
    --head: #202226; --mark: #5e4c0d; --new: #1d4526; --gone: #2a2a2c; --bad: #ff8a80;
    --bad-paper: #46201d; --danger: #f0b45a; --danger-paper: #3d2d12;
    --good: #8fd19e; --link: #9cc3ea; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 100rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 "Source Sans 3", "Noto Sans", "DejaVu Sans", sans-serif; }
code, .mono { font-family: "DejaVu Sans Mono", "Liberation Mono", monospace; font-size: .87em; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .4rem; font-weight: 600; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; font-weight: 600; }
h3 { font-size: 1rem; margin: 0; font-weight: 600; }
p { margin: .3rem 0; max-width: 48rem; }
a { color: inherit; text-decoration: none; }
a:hover { color: var(--link); text-decoration: underline; }
.quiet { color: var(--dim); }
.verdict { font-weight: 600; color: var(--good); }
.verdict.bad { color: var(--bad); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: 12.5px;
  line-height: 1.45; }
th, td { text-align: left; vertical-align: top; padding: .35rem .5rem; font-weight: 400;
  border-bottom: 1px solid var(--line); border-right: 1px solid var(--line); }
tr > :last-child { border-right: 0; }
tbody:last-child tr:last-child > * { border-bottom: 0; }
td { min-width: 7.5rem; }
thead th { background: var(--head); }
thead .number { font-size: 1.05rem; font-weight: 600; display: block; }
thead .outcome { color: var(--dim); display: block; }
th.name { position: sticky; left: 0; background: var(--head); min-width: 6.3rem; z-index: 1;
  font-weight: 600; }
th.group { background: var(--paper); color: var(--dim); font-size: 11px; letter-spacing: .06em;
  text-transform: uppercase; padding-top: .55rem; }
td.same { color: var(--dim); }
td.added, .key.added { background: var(--new); }
td.gone, .key.gone { background: var(--gone); color: var(--dim); font-style: italic; }
td.broken { font-weight: 600; }
.promise, .promise b { color: var(--bad); }
.danger, .danger b { color: var(--danger); }
td > .promise, td > .danger { padding: 0 .25em; margin-left: -.25em; border-radius: 3px; }
td > .promise { background: var(--bad-paper); }
td > .danger { background: var(--danger-paper); }
.violation { border-left: 4px solid var(--bad); background: var(--bad-paper); color: var(--ink);
  margin: .5rem 0; padding: .4rem .8rem; max-width: 52rem; }
.violation.danger { border-color: var(--danger); background: var(--danger-paper);
  color: var(--ink); }
.violation.promise { color: var(--ink); }
.phrase { display: block; }
.flag { display: inline-block; padding: 0 .35em; margin: .1rem .15rem .1rem 0; border-radius: 3px;
  border: 1px solid currentColor; }
.flag.off { border-style: dotted; border-color: var(--faint); color: var(--dim); }
.changed-piece { background: var(--mark); color: var(--ink); font-weight: 600; border-radius: 3px; }
.phrase.changed-piece { padding: 0 .25em; margin-left: -.25em; }
.flag.off.changed-piece { color: var(--ink); border-color: var(--ink);
  text-decoration: line-through; }
.was { font-weight: 400; text-decoration: line-through; opacity: .75; }
.legend { font-size: 13px; margin: .6rem 0 .8rem; max-width: none; }
.legend > span { margin-right: 1.1rem; white-space: nowrap; }
.key { padding: 0 .35em; border-radius: 3px; }
ol.steps { list-style: none; padding: 0; margin: 0; max-width: 62rem; }
ol.steps > li { border-top: 1px solid var(--line); padding: .7rem 0 .8rem 3.2rem;
  position: relative; }
ol.steps .number { position: absolute; left: 0; font-size: 1.25rem; color: var(--dim);
  line-height: 1.3; }
ol.steps .outcome { color: var(--dim); font-weight: 400; margin-left: .6rem; }
.changes { margin: .4rem 0 0; padding: 0; list-style: none; font-size: 13px; }
.changes .phrase { display: inline; margin: 0 .5rem 0 0; }
.changes b { display: inline-block; min-width: 8rem; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; max-width: 62rem;
  font-size: 13.5px; margin: 0; }
dt { font-weight: 600; }
dd { margin: 0; }
h2 + h3, dl + h3 { font-size: 12px; color: var(--dim); letter-spacing: .06em;
  text-transform: uppercase; margin: 1rem 0 .3rem; }
)css";

}  // namespace verso::check::report
