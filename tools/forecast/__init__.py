"""Forecasts of APY: baselines, ARIMA and networks, each scored out of sample against "tomorrow equals today"."""
