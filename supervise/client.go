package supervise

type client struct{}

type repeats struct{}
