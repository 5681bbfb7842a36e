import { address } from "../api/client.ts";
import { STATES, type AssetRow, type Page } from "../api/types.ts";
import { said, t } from "../i18n/index.ts";
import * as store from "../live/store.ts";
import { Age, Empty, Failure, Loading, Pick, rowKeys, SearchBox } from "../parts/common.tsx";
import { StateMark } from "../parts/marks.tsx";
import { assetLink, query, setQuery } from "../router.ts";
import { f } from "../use.ts";
import { usePaged } from "./paged.ts";

type AssetPage = Page<AssetRow> & { total: number };
const NAMES = ["kind", "state", "commune", "operator", "q"] as const;

export function Assets() {
  const words = t.value.assets;
  const q = query.value;
  const url = (cursor: string | null): string =>
    address("/api/v1/assets", {
      ...Object.fromEntries(NAMES.map((name) => [name, q.get(name)])),
      limit: 100,
      after: cursor,
    });
  const { items, first, more, loading, error, reload } = usePaged<AssetRow, AssetPage>(url(null), url, 10_000);
  const kinds = Object.entries(store.catalog.value?.kinds ?? {});
  const communes = [...(store.map.value?.communes ?? [])].sort((a, b) => a.name.localeCompare(b.name, "vi"));
  const operators = [...new Set((store.map.value?.assets ?? []).map(([, , , operator]) => operator))].filter(Boolean).sort();
  const every = { value: "", label: t.value.all };
  return (
    <div class="page">
      <header class="page-head">
        <h1>{words.title}</h1>
        <p class="quiet">
          {first ? t.value.of(f.value.number(items.length), f.value.number(first.total)) : ""} · {words.keys}
        </p>
      </header>
      <div class="filters" role="search">
        <SearchBox
          label={t.value.search}
          hint={words.searchHint}
          value={q.get("q") ?? ""}
          search={(text) => { setQuery({ q: text }, { replace: true }); }}
        />
        <Pick
          label={words.kind}
          value={q.get("kind") ?? ""}
          choices={[every, ...kinds.map(([value, kind]) => ({ value, label: said(kind.title) }))]}
          choose={(kind) => { setQuery({ kind }); }}
        />
        <Pick
          label={words.state}
          value={q.get("state") ?? ""}
          choices={[every, ...STATES.map((value) => ({ value, label: t.value.state[value] }))]}
          choose={(state) => { setQuery({ state }); }}
        />
        <Pick
          label={words.commune}
          value={q.get("commune") ?? ""}
          choices={[every, ...communes.map(({ code, name }) => ({ value: code, label: name }))]}
          choose={(commune) => { setQuery({ commune }); }}
        />
        {operators.length > 0 && (
          <Pick
            label={words.operator}
            value={q.get("operator") ?? ""}
            choices={[every, ...operators.map((value) => ({ value, label: value }))]}
            choose={(operator) => { setQuery({ operator }); }}
          />
        )}
        {NAMES.some((name) => q.has(name)) && (
          <button
            type="button"
            class="plain"
            onClick={() => { setQuery(Object.fromEntries(NAMES.map((name) => [name, null]))); }}
          >
            {t.value.clearFilters}
          </button>
        )}
      </div>
      {!first && (error === null ? <Loading /> : <Failure error={error} retry={reload} />)}
      {first && items.length === 0 && <Empty title={words.empty} />}
      {items.length > 0 && (
        <div class="table-wrap">
          <table class="table" onKeyDown={rowKeys}>
            <thead>
              <tr>
                <th scope="col">{words.id}</th>
                <th scope="col" class="wide-only">{words.name}</th>
                <th scope="col">{words.state}</th>
                <th scope="col" class="wide-only">{words.kind}</th>
                <th scope="col">{words.commune}</th>
                <th scope="col" class="wide-only">{words.operator}</th>
                <th scope="col" class="num">{words.lastSeen}</th>
              </tr>
            </thead>
            <tbody>
              {items.map((asset) => {
                const kind = store.catalog.value?.kinds[asset.kind];
                return (
                  <tr key={asset.id}>
                    <td>
                      <a class="row-link id" data-row href={assetLink(asset.id)}>{asset.id}</a>
                    </td>
                    <td class="wide-only">{asset.name}</td>
                    <td><StateMark state={store.live.value ? liveState(asset) : asset.state} /></td>
                    <td class="wide-only">{kind ? said(kind.title) : asset.kind}</td>
                    <td>{asset.commune_name}</td>
                    <td class="wide-only">{asset.operator}</td>
                    <td class="num"><Age ms={asset.last_seen_ms} /></td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {more && (
        <button type="button" class="more" disabled={loading} onClick={more}>
          {t.value.loadMore}
        </button>
      )}
    </div>
  );
}

/** The stream is newer than the list. */
function liveState(asset: AssetRow) {
  return store.stateOf(asset.id);
}
