/** Deciders of courses that are wrong, each in one way that is easily overlooked. */
import { Decider, EventQuery, View } from "evolvent"
import type { EventQuery as Query } from "../../../src/stores/EventQuery.ts"
import type { Seat, SubscribeState } from "./deciders.ts"
import { changeCapacity, decideSubscribe, subscribe, unsubscribe } from "./deciders.ts"
import { AllEvents, CourseEvents, SubscriptionEvents } from "./events.ts"
import { capacityOf, coursesOf, seatsTaken } from "./views.ts"

type Parts = { readonly [Name in keyof SubscribeState]: (seat: Seat) => View.View<SubscribeState[Name], any> }

/** `Subscribe` with some of its views replaced. */
const subscribing = (parts: Partial<Parts>): typeof subscribe => {
  const { capacity, courses, taken }: Parts = {
    capacity: ({ courseId }) => capacityOf(courseId),
    taken: ({ courseId }) => seatsTaken(courseId),
    courses: ({ studentId }) => coursesOf(studentId),
    ...parts
  }
  return {
    ...subscribe,
    view: (seat) => View.struct({ capacity: capacity(seat), taken: taken(seat), courses: courses(seat) })
  }
}

const takenBy = (query: (seat: Seat) => Query) =>
  View.make({
    name: "SeatsTaken",
    events: SubscriptionEvents,
    query,
    initial: 0,
    evolve: { StudentSubscribed: (taken) => taken + 1, StudentUnsubscribed: (taken) => taken - 1 }
  })

const capacityBy = (query: (seat: Seat) => Query) =>
  View.make({
    name: "CapacityOf",
    events: CourseEvents,
    query,
    initial: undefined as number | undefined,
    evolve: { CourseDefined: (_, { capacity }) => capacity, CapacityChanged: (_, { capacity }) => capacity }
  })

/** A type is missing. */
export const forgetsSubscriptions = subscribing({
  taken: takenBy(({ courseId }) =>
    SubscriptionEvents.query("StudentUnsubscribed", undefined, { tags: [`course:${courseId}`] })
  )
})

/** A type is missing, and nobody would miss it before the capacity changes. */
export const forgetsChangedCapacities = subscribing({
  capacity: capacityBy(({ courseId }) =>
    CourseEvents.query("CourseDefined", undefined, { tags: [`course:${courseId}`] })
  )
})

/** The predicate names the student as well. */
export const countsOwnSeatsOnly = subscribing({ taken: takenBy((seat) => SubscriptionEvents.queryAll(seat)) })

/** The tag is that of a student with the id of the course. */
export const looksForTheWrongStudent = subscribing({ courses: ({ courseId }) => coursesOf(courseId) })

/** Reads what the course is, and not who has subscribed: a whole view is missing. */
export const readsTheCourseOnly: typeof subscribe = Decider.make({
  name: "Subscribe",
  events: SubscriptionEvents,
  view: ({ courseId }: Seat) => capacityOf(courseId),
  decide: (seat, capacity) => decideSubscribe(seat, { capacity, taken: 0, courses: [] })
}) as never

/** Reads enough, and lets a student into one course too many. */
export const countsBadly: typeof subscribe = {
  ...subscribe,
  decide: (seat, { courses, ...state }) =>
    decideSubscribe(seat, { ...state, courses: courses.length === 5 ? courses.slice(1) : courses })
}

/** Asks for a field that the events of this type do not have. */
export const asksForAFieldThatIsNotThere = subscribing({
  capacity: View.make({
    name: "CapacityOf",
    events: AllEvents,
    query: ({ courseId }: Seat) =>
      EventQuery.or(
        AllEvents.query("CourseDefined", undefined, { tags: [`course:${courseId}`] }),
        EventQuery.make({ eventTypes: ["CapacityChanged"], payloadPredicates: [{ course: courseId }] })
      ),
    initial: undefined as number | undefined,
    evolve: { CourseDefined: (_, { capacity }) => capacity, CapacityChanged: (_, { capacity }) => capacity }
  })
})

/** Lets the seats be fewer than the students. */
export const shrinksBelow: typeof changeCapacity = {
  ...changeCapacity,
  decide: (command, { capacity }) => changeCapacity.decide(command, { capacity, taken: 0 })
}

/** Reads all of the course although the student's own subscriptions are enough. */
export const readsTheWholeCourse: typeof unsubscribe = Decider.make({
  name: "Unsubscribe",
  events: AllEvents,
  view: ({ courseId, studentId }: Seat) => View.struct({ courses: coursesOf(studentId), taken: seatsTaken(courseId) }),
  decide: (seat, { courses }) => unsubscribe.decide(seat, courses)
}) as never

const deciding = (decide: (seat: Seat, state: SubscribeState) => unknown): typeof subscribe => ({
  ...subscribe,
  decide: decide as typeof subscribe.decide
})

export const readsTheClock = deciding((seat, state) =>
  Date.now() < 0 ? Decider.nothing : decideSubscribe(seat, state)
)

export const drawsLots = deciding((seat, state) => (Math.random() < 0 ? Decider.nothing : decideSubscribe(seat, state)))

export const answersLater = deciding((seat, state) => Promise.resolve(decideSubscribe(seat, state)))

export const changesTheCommand = deciding((seat, state) =>
  decideSubscribe(Object.assign(seat, { courseId: "z" }), state)
)

/** Remembers what it has decided, outside of the log. */
export const remembers = () => {
  const seen = new Set<string>()
  return deciding((seat, state) => {
    if (seen.has(seat.studentId)) return Decider.nothing
    const decision = decideSubscribe(seat, state)
    if (decision._tag === "Accept") seen.add(seat.studentId)
    return decision
  })
}

const coursesEvolving = (subscribed: (courses: ReadonlyArray<string>, courseId: string) => ReadonlyArray<string>) =>
  View.make({
    name: "CoursesOf",
    events: SubscriptionEvents,
    query: ({ studentId }: Seat) => SubscriptionEvents.queryAll(undefined, { tags: [`student:${studentId}`] }),
    initial: [] as ReadonlyArray<string>,
    evolve: {
      StudentSubscribed: (courses, { courseId }) => subscribed(courses, courseId),
      StudentUnsubscribed: (courses, { courseId }) => courses.filter((it) => it !== courseId)
    }
  })

export const changesTheState = subscribing({
  courses: coursesEvolving((courses, courseId) => {
    ;(courses as Array<string>).push(courseId)
    return courses
  })
})

/** Takes for granted what no event promises: that nobody subscribes twice. */
export const evolvesPartially = subscribing({
  courses: coursesEvolving((courses, courseId) => {
    if (courses.includes(courseId)) throw new Error("subscribed already")
    return [...courses, courseId]
  })
})

/** Takes for granted what holds for commands of today, and not for the courses of version 1. */
export const trustsOldCapacities = subscribing({
  capacity: View.make({
    name: "CapacityOf",
    events: CourseEvents,
    query: ({ courseId }: Seat) => CourseEvents.queryAll(undefined, { tags: [`course:${courseId}`] }),
    initial: undefined as number | undefined,
    evolve: {
      CourseDefined: (_, { capacity }) => {
        if (capacity > 100) throw new RangeError("too many seats")
        return capacity
      },
      CapacityChanged: (_, { capacity }) => capacity
    }
  })
})
