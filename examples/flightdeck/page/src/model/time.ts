import type { ClockTime } from "../types.gen";

const NEW_YEAR = Date.UTC(2013, 0, 1);
const MINUTE = 60_000;

const days = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

/** Minutes since midnight of 1 January. */
export const minutes = (time: ClockTime): number => (Date.parse(`${time}Z`) - NEW_YEAR) / MINUTE;

/** The time at this many minutes since midnight of 1 January. */
export const timeAt = (minute: number): ClockTime => new Date(NEW_YEAR + minute * MINUTE).toISOString().slice(0, 16);

/** Hour and minute alone. */
export const short = (time: ClockTime): string => time.slice(11, 16);

/** The day, such as `Tuesday 1 January 2013`. */
export const day = (minute: number): string => days.format(NEW_YEAR + minute * MINUTE).replace(",", "");
