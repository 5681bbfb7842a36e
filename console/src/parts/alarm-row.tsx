/** How an alarm reads in a list. */
import type { AlarmView } from "../api/types.ts";
import { t } from "../i18n/index.ts";
import { language } from "../preferences.ts";
import { f } from "../use.ts";

/**
 * What an alarm says. Equipment speaks one language, so that its own alarms are told by their
 * probable cause; their text stands in the details.
 */
export function alarmText(alarm: AlarmView): string {
  const text = (language.value === "vi" ? alarm.text_vi : alarm.text_en) || alarm.probable_cause;
  // Equipment does not say which it is.
  return alarm.source === "device" ? `${alarm.asset}: ${text}` : text;
}

export function alarmAction(alarm: AlarmView): string {
  return language.value === "vi" ? alarm.action_vi : alarm.action_en;
}

/** What a root takes with it, as short phrases; empty when it takes nothing. */
export function impact(alarm: AlarmView): string[] {
  const words = t.value.overview;
  const n = f.value.number;
  const parts: string[] = [];
  if (alarm.impact && alarm.impact.stations > 0) parts.push(words.stationsDown(n(alarm.impact.stations)));
  else if (alarm.impact && alarm.impact.assets > 0) parts.push(words.assetsDown(n(alarm.impact.assets)));
  if (alarm.suppressed_count > 0) parts.push(words.suppressed(n(alarm.suppressed_count)));
  if (alarm.impact && alarm.impact.population > 0) parts.push(words.people(n(alarm.impact.population)));
  return parts;
}
